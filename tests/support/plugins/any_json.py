"""Tools whose structured results are JSON values of every kind; some revisions support only objects."""

from typing import Any

from tfo_mcp.plugins import ToolHints, ToolResult, tool

READ_ONLY = ToolHints(read_only=True)


@tool(hints=READ_ONLY, output_schema={"type": "array", "items": {"type": "integer"}})
def raw_numbers() -> ToolResult:
    """Return an unwrapped list as structured content."""
    return ToolResult(structured=[1, 2, 3])


@tool(hints=READ_ONLY, output_schema={"type": ["object", "null"]})
def raw_null() -> Any:
    """Return null as structured content."""
    return None


@tool(hints=READ_ONLY, output_schema={"type": "string"})
def raw_text() -> str:
    """Return a string as structured content."""
    return "structured"
