"""The tool echo: the shortest way through the whole server.

For trying a connection out, and for measuring what the server itself costs: it awaits nothing and needs no context.
"""

from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import ToolHints, tool


@tool(title="Echo", hints=ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False))
async def echo(message: Annotated[str, Field(description="The text to answer with.")]) -> str:
    """Answer with the message, unchanged. Good for trying out the connection."""
    return message
