"""A tool that takes a while and writes down that it has begun, so that a test learns what became of every call."""

import os
from pathlib import Path

import anyio

from tfo_mcp.plugins import Context, tool

LONGEST = 10.0  # seconds


@tool()
async def work(ticket: str, ledger: Path, seconds: float, ctx: Context, aloud: bool = False) -> str:
    """Add the ticket to the ledger, work for so long, and answer with it; aloud, log that it has begun."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{ticket}\n".encode())  # one write: lines of several processes do not mix
    finally:
        os.close(descriptor)
    if aloud:
        await ctx.log("info", f"{ticket} has begun")
    await anyio.sleep(min(seconds, LONGEST))
    return ticket
