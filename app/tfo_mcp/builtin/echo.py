"""The tool echo, for testing a connection and measuring the server's own overhead.

It awaits nothing and needs no context, so a call exercises only the server's request path.
"""

from typing import Annotated

from pydantic import Field

from tfo_mcp.plugins import ToolHints, tool


@tool(title="Echo", hints=ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False))
async def echo(message: Annotated[str, Field(description="Text to return.")]) -> str:
    """Return the message, to test the connection."""
    return message
