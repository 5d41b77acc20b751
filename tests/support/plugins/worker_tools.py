"""Tools that tell in which worker they run, for the tests of several processes."""

import os
from pathlib import Path
from typing import Any

import anyio

from tfo_mcp.plugins import Context, Elicit, ToolHints, tool

FORM: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
LOOK_AGAIN = 0.01  # seconds between two polls
READ_ONLY = ToolHints(read_only=True)

if (cause := os.environ.get("FAIL_IF_EXISTS")) and Path(cause).exists():
    os._exit(3)  # as a library that crashes when it is imported


@tool(hints=READ_ONLY)
def process_id() -> int:
    """Return the id of the process that runs this call."""
    return os.getpid()


@tool()
def counted() -> int:
    """Return the id of the process that runs this call, which is audited, since it may change something."""
    return os.getpid()


@tool(hints=READ_ONLY)
async def hold_until(path: str) -> int:
    """Wait until a file exists, and return the id of the process; a file with the suffix `.PID` tells that it waits."""
    Path(f"{path}.{os.getpid()}").touch()
    with anyio.fail_after(20):
        while not Path(path).exists():
            await anyio.sleep(LOOK_AGAIN)
    return os.getpid()


@tool(hints=READ_ONLY)
async def ask_name(ctx: Context) -> str:
    """Ask for a name, and return it with the id of the process."""
    answer = await ctx.ask(Elicit("Your name?", FORM), key="name")
    return f"{(answer.content or {}).get('name')} {os.getpid()}"
