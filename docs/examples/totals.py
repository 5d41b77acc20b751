from dataclasses import dataclass

from tfo_mcp.plugins import Image, Text, ToolResult, tool


@dataclass(frozen=True)
class Sum:
    """A total and the number of its terms."""

    total: float
    terms: int


@tool()
async def total(values: list[float]) -> Sum:
    """Add up numbers; the result is structured."""
    return Sum(sum(values), len(values))


@tool()
async def dot(label: str) -> list[Text | Image]:
    """Return content blocks: a text and an image."""
    return [Text(label), Image(data=b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", mime_type="image/gif")]


@tool(output_schema=Sum)
async def checked_total(values: list[float]) -> ToolResult:
    """Add up numbers; fail without any."""
    if not values:
        return ToolResult(content=(Text("Nothing to add up"),), is_error=True)
    return ToolResult(content=(Text(f"That makes {sum(values):g}"),), structured=Sum(sum(values), len(values)))
