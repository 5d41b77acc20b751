"""Tools that send more than a client reads: notifications of many calls at the same time, and updates of resources.

A call sends at most BURST notifications a second, the rate limit of the server.
"""

from __future__ import annotations

import asyncio

from tfo_mcp.plugins import Context, ToolHints, resource, tool

READ_ONLY = ToolHints(read_only=True)
BURST = 200
BURST_SECONDS = 1.05
ROUND_SECONDS = 0.02


class Gate:
    """An event that calls wait for, so that all of them continue at the same time."""

    def __init__(self) -> None:
        self.waiting = 0
        self._opened = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the gate opens."""
        self.waiting += 1
        await self._opened.wait()

    def open(self) -> None:
        """Release all waiting calls at once; later calls wait again."""
        self.waiting = 0
        self._opened.set()
        self._opened = asyncio.Event()


GATE = Gate()


@tool(hints=READ_ONLY)
async def flood(notifications: int, size: int, gated: bool, ctx: Context) -> str:
    """Sends progress notifications with a text of `size` characters; with `gated`, waits for the gate first."""
    if gated:
        await GATE.wait()
    text = "x" * size
    for number in range(notifications):
        if number and number % BURST == 0:
            await asyncio.sleep(BURST_SECONDS)
        await ctx.progress(number + 1, message=text)
    return "sent"


@tool(hints=READ_ONLY)
async def waiting() -> int:
    """Returns the number of calls that wait at the gate."""
    return GATE.waiting


@tool(hints=READ_ONLY)
async def open_gate() -> str:
    """Releases all calls that wait at the gate."""
    GATE.open()
    return "open"


@tool(hints=READ_ONLY)
async def announce(uris: list[str], rounds: int, ctx: Context) -> str:
    """Announces updates of all these resources, `rounds` times."""
    for _ in range(rounds):
        for uri in uris:
            await ctx.resource_updated(uri)
        await asyncio.sleep(ROUND_SECONDS)
    return "announced"


@resource("flood://{name}", mime_type="text/plain")
async def item(name: str) -> str:
    """One of any number of resources."""
    return name
