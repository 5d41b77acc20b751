"""Tools whose calls wait until a test releases them, and report what happened to them.

A gate is an event with a key. Each gate records what happens as a list of words.
"""

import time

import anyio

from tests.support.plugins.gates import LOOK_AGAIN, Gate
from tfo_mcp.plugins import Context, SyncContext, ToolHints, tool

PATIENCE = 30.0  # seconds; maximum wait of a call
READ_ONLY = ToolHints(read_only=True)
WATER = "x" * 100_000


@tool(hints=READ_ONLY)
async def hold(key: str) -> str:
    """Wait at a gate until it is opened."""
    gate = Gate(key)
    gate.tell("held")
    try:
        with anyio.fail_after(PATIENCE):
            await gate.wait()
    except anyio.get_cancelled_exc_class():
        gate.tell("cancelled")
        raise
    gate.tell("released")
    return f"{key} was opened"


@tool(hints=READ_ONLY)
async def hold_reporting(key: str, ctx: Context) -> str:
    """Wait at a gate, and report progress repeatedly meanwhile."""
    gate = Gate(key)
    gate.tell("held")
    try:
        with anyio.fail_after(PATIENCE):
            for done in range(1, 10_000):
                await ctx.progress(done)
                if done == 3:
                    gate.tell("reported")
                with anyio.move_on_after(0.02):
                    await gate.wait()
                    break
    except anyio.get_cancelled_exc_class():
        gate.tell("cancelled")
        raise
    return f"{key} was opened"


@tool(hints=READ_ONLY)
def hold_thread(key: str, ctx: SyncContext) -> str:
    """Wait at a gate in a thread, then report progress and log, even after a cancellation."""
    gate = Gate(key)
    gate.tell("held")
    noticed = False
    for _ in range(int(PATIENCE / LOOK_AGAIN)):
        if gate.is_open:
            break
        if ctx.cancelled and not noticed:
            noticed = True
            gate.tell("noticed")
        time.sleep(LOOK_AGAIN)  # blocks its thread, as plain functions do
    ctx.progress(1)
    ctx.log("error", "after the gate")
    gate.tell("finished")
    return f"{key} was opened"


@tool(hints=READ_ONLY)
async def hold_for(path: str) -> str:
    """Wait until a file exists, so that a test can release the call without a connection."""
    await anyio.Path(f"{path}.held").touch()
    with anyio.fail_after(PATIENCE):
        while not await anyio.Path(path).exists():
            await anyio.sleep(LOOK_AGAIN)
    return "went on"


@tool(hints=READ_ONLY)
async def pour(key: str, ctx: Context) -> str:
    """Log long messages until a gate is opened, even if the client does not read them."""
    gate = Gate(key)
    gate.tell("pouring")
    try:
        while not gate.is_open:
            await ctx.log("emergency", WATER)
            await anyio.sleep(LOOK_AGAIN)
    except anyio.get_cancelled_exc_class():
        gate.tell("cancelled")
        raise
    gate.tell("finished")
    return f"{key} was opened"


@tool(hints=READ_ONLY)
async def open_gate(key: str) -> str:
    """Open a gate, so that the calls that wait at it continue."""
    Gate(key).open()
    return "open"


@tool(hints=READ_ONLY)
async def story(key: str, until: str) -> str:
    """Return the record of a gate as soon as it contains the word `until`."""
    gate = Gate(key)
    with anyio.fail_after(PATIENCE):
        while until not in gate.told:
            await anyio.sleep(LOOK_AGAIN)
    return ", ".join(gate.told)
