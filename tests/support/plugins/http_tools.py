"""Tools for the tests of Streamable HTTP: they log, ask, wait for a gate, or release their stream.

A gate is a named event. `hold` waits at it, `open_gate` opens it, and `gate_state` returns the state of the waiting
call, by which a test sees whether the call was cancelled. Knows no transport.
"""

from collections.abc import Callable
from typing import Any

from tests.support.plugins.gates import Gate
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


async def wait_at(key: str) -> None:
    """Wait until the gate is open, and record in its state how the wait ended."""
    gate = Gate(key)
    gate.tell("waiting")
    try:
        await gate.wait()
    except BaseException:
        gate.tell("cancelled")
        raise
    gate.tell("finished")


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
    Gate(key).open()
    return "opened"


@tool()
async def gate_state(key: str) -> str:
    """Return the state of the call at a gate: unknown, waiting, cancelled or finished."""
    return (Gate(key).told or ["unknown"])[-1]


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


@tool()
async def touch_memo(memo: str, ctx: Context) -> str:
    """Announce that the memo of that name has changed."""
    await ctx.resource_updated(f"memo://{memo}")
    return "touched"


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
