"""Tools for the tests of Streamable HTTP: they talk, ask, wait for a gate that the test opens, or give up their stream.

A gate is a name. `hold` waits at it, `open_gate` lets it go on, and `gate_state` tells what became of it: that is how a
test sees whether a call was cancelled. Written with `tfo_mcp.plugins` alone; knows no transport.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio

from tfo_mcp.plugins import Context, Elicit, prompt, resource, tool

ROUTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry_run": {"type": "boolean", "x-mcp-header": "Dry-Run"},
        "target": {
            "type": "object",
            "properties": {
                "place": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}}
            },
        },
        "note": {"type": "string"},
    },
}
NAME_FORM: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@dataclass
class Gate:
    """Where a call waits, and what became of it."""

    opened: anyio.Event = field(default_factory=anyio.Event)
    state: str = "unknown"


GATES: dict[str, Gate] = {}


def gate(key: str) -> Gate:
    """Return the gate of that name."""
    return GATES.setdefault(key, Gate())


async def wait_at(key: str) -> None:
    """Wait until the gate is open; the gate remembers how the waiting ended."""
    place = gate(key)
    place.state = "waiting"
    try:
        await place.opened.wait()
    except BaseException:
        place.state = "cancelled"
        raise
    place.state = "finished"


@tool()
async def talk(count: int, ctx: Context) -> str:
    """Log numbered messages, then answer."""
    for number in range(count):
        await ctx.log("info", f"message {number}")
    return "talked"


@tool()
async def hold(key: str, ctx: Context, aloud: bool = False) -> str:
    """Wait at a gate; aloud, log a message before and one after."""
    if aloud:
        await ctx.log("info", f"{key} waits")
    await wait_at(key)
    if aloud:
        await ctx.log("info", f"{key} is open")
    return f"held {key}"


@tool()
async def open_gate(key: str) -> str:
    """Open a gate."""
    gate(key).opened.set()
    return "opened"


@tool()
async def gate_state(key: str) -> str:
    """Tell what became of the call that waited at a gate: unknown, waiting, cancelled or finished."""
    return gate(key).state


@tool()
async def let_go(key: str, ctx: Context, aloud: bool = True) -> str:
    """Give the stream up, wait at a gate, then answer; aloud, log a message before and one after."""
    if aloud:
        await ctx.log("info", "before")
    await ctx.release_stream(retry_ms=120)
    await wait_at(key)
    if aloud:
        await ctx.log("info", "after")
    return f"let go {key}"


@tool()
async def ask_name(ctx: Context) -> str:
    """Ask the user for a name and greet."""
    answer = await ctx.ask(Elicit("What is your name?", NAME_FORM), key="name")
    return f"Hello, {(answer.content or {}).get('name', 'stranger')}!"


@tool()
async def say_change_and_ask(ctx: Context) -> str:
    """Log a message, change the list of tools, then ask the user for a name."""
    await ctx.log("info", "before the change")
    await ctx.register(momentary())
    answer = await ctx.ask(Elicit("What is your name?", NAME_FORM), key="name")
    return f"Hello, {(answer.content or {}).get('name', 'stranger')}!"


@tool()
async def change_tools(ctx: Context) -> str:
    """Add a tool, or put it in place of itself: one change of the list."""
    await ctx.register(momentary())
    return "changed"


@tool()
async def need_sampling(ctx: Context) -> str:
    """Refuse to work for a client that has no model to offer."""
    ctx.require("sampling")
    return "sampling is there"


@tool(input_schema=ROUTED)
async def route(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments; some of them are mirrored into headers."""
    return arguments


@resource("memo://{name}", mime_type="text/plain")
async def memo(name: str) -> str:
    """Read the memo of that name."""
    return f"memo {name}"


@prompt(name="grüße")
async def greeting() -> str:
    """Greet; the prompt's name cannot stand in a header as it is."""
    return "Grüß Gott"


def momentary() -> Callable[[], str]:
    """Return a tool that is no attribute of this module, so that it is not registered at start."""

    @tool(name="momentary")
    def added() -> str:
        """Exist since the list was changed."""
        return "momentary"

    return added
