"""Tools whose calls wait until a test releases them, and report what happened to them.

A gate is an event with a key, shared by all calls of one process. Each gate records what happens as a list of words.
"""

import threading
from collections import defaultdict

import anyio
import anyio.from_thread

from tfo_mcp.plugins import Context, SyncContext, ToolHints, tool

PATIENCE = 10.0  # seconds; maximum wait of a call
LOOK_AGAIN = 0.01  # seconds between two polls
READ_ONLY = ToolHints(read_only=True)
WATER = "x" * 100_000


class Gate:
    """An event to wait for, and the record of what happened."""

    def __init__(self) -> None:
        self.open = anyio.Event()
        self.open_for_threads = threading.Event()
        self.told: list[str] = []
        self.changed = anyio.Event()

    def tell(self, word: str) -> None:
        """Add a word to the record."""
        self.told.append(word)
        self.changed.set()
        self.changed = anyio.Event()


_gates: dict[str, Gate] = defaultdict(Gate)


@tool(hints=READ_ONLY)
async def hold(key: str) -> str:
    """Wait at a gate until it is opened."""
    gate = _gates[key]
    gate.tell("held")
    try:
        with anyio.fail_after(PATIENCE):
            await gate.open.wait()
    except anyio.get_cancelled_exc_class():
        gate.tell("cancelled")
        raise
    gate.tell("released")
    return f"{key} was opened"


@tool(hints=READ_ONLY)
async def hold_reporting(key: str, ctx: Context) -> str:
    """Wait at a gate, and report progress repeatedly meanwhile."""
    gate = _gates[key]
    gate.tell("held")
    try:
        with anyio.fail_after(PATIENCE):
            for done in range(1, 10_000):
                await ctx.progress(done)
                if done == 3:
                    gate.tell("reported")
                with anyio.move_on_after(0.02):
                    await gate.open.wait()
                    break
    except anyio.get_cancelled_exc_class():
        gate.tell("cancelled")
        raise
    return f"{key} was opened"


@tool(hints=READ_ONLY)
def hold_thread(key: str, ctx: SyncContext) -> str:
    """Wait at a gate in a thread, then report progress and log, even after a cancellation."""
    gate = _gates[key]
    tell_from_thread(gate, "held")
    noticed = False
    for _ in range(int(PATIENCE / LOOK_AGAIN)):
        if gate.open_for_threads.wait(LOOK_AGAIN):
            break
        if ctx.cancelled and not noticed:
            noticed = True
            tell_from_thread(gate, "noticed")
    ctx.progress(1)
    ctx.log("error", "after the gate")
    tell_from_thread(gate, "finished")
    return f"{key} was opened"


def tell_from_thread(gate: Gate, word: str) -> None:
    """Add a word to the record, from a worker thread."""
    anyio.from_thread.run_sync(gate.tell, word)


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
    gate = _gates[key]
    gate.tell("pouring")
    try:
        while not gate.open.is_set():
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
    _gates[key].open.set()
    _gates[key].open_for_threads.set()
    return "open"


@tool(hints=READ_ONLY)
async def story(key: str, until: str) -> str:
    """Return the record of a gate as soon as it contains the word `until`."""
    gate = _gates[key]
    with anyio.fail_after(PATIENCE):
        while until not in gate.told:
            await gate.changed.wait()
    return ", ".join(gate.told)
