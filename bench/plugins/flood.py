"""Tools that have more to say than a client takes: notifications of many calls at one moment, and updates of resources.

A call sends at most BURST notifications a second, which is what the server lets pass.
"""

from __future__ import annotations

import asyncio

from tfo_mcp.plugins import Context, ToolHints, resource, tool

READ_ONLY = ToolHints(read_only=True)
BURST = 200
BURST_SECONDS = 1.05
ROUND_SECONDS = 0.02


class Gate:
    """Where calls wait until all of them are there."""

    def __init__(self) -> None:
        self.waiting = 0
        self._opened = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the gate opens."""
        self.waiting += 1
        await self._opened.wait()

    def open(self) -> None:
        """Let everybody go at once; the next ones wait again."""
        self.waiting = 0
        self._opened.set()
        self._opened = asyncio.Event()


GATE = Gate()


@tool(hints=READ_ONLY)
async def flood(notifications: int, size: int, gated: bool, ctx: Context) -> str:
    """Sends so many progress notifications with a text of `size` characters, at first waiting for the gate if asked."""
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
    """Answers how many calls wait at the gate."""
    return GATE.waiting


@tool(hints=READ_ONLY)
async def open_gate() -> str:
    """Lets all calls go that wait at the gate."""
    GATE.open()
    return "open"


@tool(hints=READ_ONLY)
async def announce(uris: list[str], rounds: int, ctx: Context) -> str:
    """Announces updates of all these resources, again and again."""
    for _ in range(rounds):
        for uri in uris:
            await ctx.resource_updated(uri)
        await asyncio.sleep(ROUND_SECONDS)
    return "announced"


@resource("flood://{name}", mime_type="text/plain")
async def item(name: str) -> str:
    """One of any number of resources."""
    return name
