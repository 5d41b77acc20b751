"""A tool that takes some time and records its start in a file, so that a test can account for every call."""

import os
from pathlib import Path

import anyio

from tfo_mcp.plugins import Context, tool

LONGEST = 10.0  # seconds


@tool()
async def work(ticket: str, ledger: Path, seconds: float, ctx: Context, aloud: bool = False) -> str:
    """Append the ticket to the ledger, sleep for `seconds`, and return it; with `aloud`, log the start."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{ticket}\n".encode())  # one write, so that lines of several processes do not mix
    finally:
        os.close(descriptor)
    if aloud:
        await ctx.log("info", f"{ticket} has begun")
    await anyio.sleep(min(seconds, LONGEST))
    return ticket
