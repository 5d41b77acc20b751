"""A tool whose response must be a stream, because it reports progress before its result."""

from __future__ import annotations

from tfo_mcp.plugins import Context, ToolHints, tool


@tool(hints=ToolHints(read_only=True))
async def echo_stream(message: str, ctx: Context) -> str:
    """Answers with the message, after one progress notification."""
    await ctx.progress(1, total=2)
    return message
