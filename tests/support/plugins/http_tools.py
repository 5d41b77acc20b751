"""Tools for the tests of Streamable HTTP: they log, ask, wait for a gate, or release their stream.

A gate is a named event. `hold` waits at it, `open_gate` opens it, and `gate_state` returns the state of the waiting
call, by which a test sees whether the call was cancelled. Imports only `tfo_mcp.plugins`; knows no transport.
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
    """The event that a call waits for, and the state of that call."""

    opened: anyio.Event = field(default_factory=anyio.Event)
    state: str = "unknown"


GATES: dict[str, Gate] = {}


def gate(key: str) -> Gate:
    """Return the gate of that name."""
    return GATES.setdefault(key, Gate())


async def wait_at(key: str) -> None:
    """Wait until the gate is open, and record in its state how the wait ended."""
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
    """Wait at a gate; with `aloud`, log a message before and one after."""
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
    """Return the state of the call at a gate: unknown, waiting, cancelled or finished."""
    return gate(key).state


@tool()
async def let_go(key: str, ctx: Context, aloud: bool = True) -> str:
    """Release the stream, wait at a gate, then answer; with `aloud`, log a message before and one after."""
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
    """Add a tool, or replace it by itself: one change of the list."""
    await ctx.register(momentary())
    return "changed"


@tool()
async def need_sampling(ctx: Context) -> str:
    """Fail for a client without the sampling capability."""
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
    """Greet; the prompt's name needs encoding in a header."""
    return "Grüß Gott"


def momentary() -> Callable[[], str]:
    """Return a tool that is not an attribute of this module, so that it is not registered at start."""

    @tool(name="momentary")
    def added() -> str:
        """Return the tool's name."""
        return "momentary"

    return added
