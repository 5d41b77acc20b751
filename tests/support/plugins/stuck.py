"""Tools that never end, each in its own way, and ignore cancellation.

The server process loads them. A tool creates the file `path` when it runs.
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
    """Block the worker thread that the server runs the tool in."""
    Path(path).touch()
    threading.Event().wait()
    return "never"


@tool(hints=READ_ONLY)
async def in_the_executor(path: str) -> str:
    """Block a thread of the loop's executor, which the interpreter joins at exit."""
    await asyncio.to_thread(in_a_thread, path)
    return "never"


@tool(hints=READ_ONLY)
async def in_a_thread_of_its_own(path: str) -> str:
    """Start a non-daemon thread that never ends, which the interpreter joins at exit."""
    threading.Thread(target=in_a_thread, args=(path,), name="stuck").start()
    return "started"


@tool(hints=READ_ONLY)
async def in_the_loop(path: str) -> str:
    """Block the event loop."""
    Path(path).touch()
    time.sleep(FOR_EVER)
    return "never"


@tool(hints=READ_ONLY)
async def against_cancellation(path: str) -> str:
    """Suppress every cancellation."""
    Path(path).touch()
    while True:
        try:
            await asyncio.sleep(FOR_EVER)
        except asyncio.CancelledError:
            continue
