from typing import Any

from tfo_mcp.plugins import ToolResult, tool


@tool(
    input_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"query": {"$ref": "#/$defs/Query"}},
        "required": ["query"],
        "additionalProperties": False,
        "$defs": {"Query": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}},
    },
    output_schema={"type": "object", "properties": {"hits": {"type": "integer"}}, "required": ["hits"]},
)
async def search(arguments: dict[str, Any]) -> ToolResult:
    """Search for one text or several."""
    query = arguments["query"]
    return ToolResult(structured={"hits": 1 if isinstance(query, str) else len(query)})
