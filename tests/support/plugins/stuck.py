"""Tools that never come to an end, each in its own way, and look at no cancellation.

Loaded by the server's process. That a tool runs is told by a file, as the conventions of `hold_for` have it.
"""

import asyncio
import threading
import time
from pathlib import Path

from tfo_mcp.plugins import ToolHints, tool

READ_ONLY = ToolHints(read_only=True)
FOR_EVER = 10_000.0


@tool(hints=READ_ONLY)
def in_a_thread(path: str) -> str:
    """Wait in the thread that the server runs the tool in."""
    Path(path).touch()
    threading.Event().wait()
    return "never"


@tool(hints=READ_ONLY)
async def in_the_executor(path: str) -> str:
    """Wait in a thread of the loop's own, which the interpreter waits for."""
    await asyncio.to_thread(in_a_thread, path)
    return "never"


@tool(hints=READ_ONLY)
async def in_a_thread_of_its_own(path: str) -> str:
    """Start a thread that the interpreter waits for."""
    threading.Thread(target=in_a_thread, args=(path,), name="stuck").start()
    return "started"


@tool(hints=READ_ONLY)
async def in_the_loop(path: str) -> str:
    """Let nothing else run."""
    Path(path).touch()
    time.sleep(FOR_EVER)
    return "never"


@tool(hints=READ_ONLY)
async def against_cancellation(path: str) -> str:
    """Go on whatever is asked."""
    Path(path).touch()
    while True:
        try:
            await asyncio.sleep(FOR_EVER)
        except asyncio.CancelledError:
            continue
