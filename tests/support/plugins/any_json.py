"""Tools whose structured results are JSON values of every kind, which not every revision can carry."""

from typing import Any

from tfo_mcp.plugins import ToolHints, ToolResult, tool

READ_ONLY = ToolHints(read_only=True)


@tool(hints=READ_ONLY, output_schema={"type": "array", "items": {"type": "integer"}})
def raw_numbers() -> ToolResult:
    """Answer with a list that is not wrapped."""
    return ToolResult(structured=[1, 2, 3])


@tool(hints=READ_ONLY, output_schema={"type": ["object", "null"]})
def raw_null() -> Any:
    """Answer with null as structured content."""
    return None


@tool(hints=READ_ONLY, output_schema={"type": "string"})
def raw_text() -> str:
    """Answer with a text as structured content."""
    return "structured"
