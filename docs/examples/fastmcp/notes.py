from fastmcp import FastMCP
from fastmcp.resources import ResourceContent, ResourceResult

mcp = FastMCP("notes")


@mcp.resource("notes://motd", mime_type="text/markdown")
async def message_of_the_day() -> str:
    """The message of the day."""
    return "# Welcome"


@mcp.resource("notes://pages/{number}")
async def page(number: int) -> ResourceResult:
    """One page of the notes: its text and its picture."""
    return ResourceResult(
        [
            ResourceContent(f"Page {number}", mime_type="text/plain"),
            ResourceContent(b"GIF89a", mime_type="image/gif"),
        ]
    )
