"""The plugin of the end-to-end tests: tools that report, ask, change the lists, wait, and get stuck.

The server process loads it; tests never import it. A tool that waits creates files in a folder, by which a test follows
its state.
"""

import sys
import threading
from pathlib import Path

import anyio

from tfo_mcp.plugins import Context, Elicit, ListRoots, Sample, Text, ToolHints, prompt, resource, tool, user

READ_ONLY = ToolHints(read_only=True)
NAME_FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@tool(hints=READ_ONLY)
async def count_to(number: int, ctx: Context) -> str:
    """Report progress for each step and log it."""
    for step in range(1, number + 1):
        await ctx.progress(step, total=number, message=f"step {step}")
        await ctx.log("info", {"step": step}, logger="counting")
        await ctx.log("debug", f"details of step {step}")
    return f"counted to {number}"


@tool(hints=READ_ONLY)
async def count_and_wait(number: int, folder: str, ctx: Context) -> str:
    """Report progress for each step, then wait until `folder` contains a file `go`."""
    for step in range(1, number + 1):
        await ctx.progress(step, total=number, message=f"step {step}")
    while not Path(folder, "go").exists():
        await anyio.sleep(0.01)
    return f"counted to {number}"


@tool(hints=READ_ONLY)
async def greet(ctx: Context) -> str:
    """Ask the user for a name and greet."""
    answer = await ctx.ask(Elicit("What is your name?", NAME_FORM), key="name")
    if answer.action != "accept":
        return f"No name: {answer.action}"
    return f"Hello, {(answer.content or {})['name']}!"


@tool(hints=READ_ONLY)
async def consult(question: str, ctx: Context) -> str:
    """Ask the client's model."""
    answer = await ctx.ask(Sample([user(question)], max_tokens=50, system_prompt="Be short."), key="model")
    assert isinstance(answer.content, Text)
    return f"{answer.model} says: {answer.content.text}"


@tool(hints=READ_ONLY)
async def workplaces(ctx: Context) -> str:
    """Ask for the client's roots."""
    answer = await ctx.ask(ListRoots(), key="roots")
    return ", ".join(f"{root.name}: {root.uri}" for root in answer.roots)


@tool()
async def grow(name: str, ctx: Context) -> str:
    """Add a tool, a prompt and a resource of this name."""

    @tool(name=name, hints=READ_ONLY)
    def added_tool() -> str:
        """Return that the tool exists."""
        return f"{name} is here"

    @prompt(name=name)
    def added_prompt() -> str:
        """Return that the prompt exists."""
        return f"{name} is here"

    @resource(f"grown://{name}", name=name)
    def added_resource() -> str:
        """Return that the resource exists."""
        return f"{name} is here"

    for function in (added_tool, added_prompt, added_resource):
        await ctx.register(function)
    return f"added {name}"


@tool()
async def wait_here(folder: str) -> str:
    """Wait until `folder` contains a file `go`; create the files `started` and, when cancelled, `cancelled`."""
    Path(folder, "started").touch()
    try:
        while not Path(folder, "go").exists():
            await anyio.sleep(0.01)
    except anyio.get_cancelled_exc_class():
        Path(folder, "cancelled").touch()
        raise
    return "went on"


@tool()
def get_stuck(folder: str) -> str:
    """Block a worker thread for ever and ignore cancellation."""
    Path(folder, "started").touch()
    threading.Event().wait()
    return "never"


@tool()
def chatter() -> str:
    """Write to standard output in every possible way."""
    print("printed")
    sys.stdout.write("written\n")
    sys.stdout.flush()
    assert sys.__stdout__ is not None
    print("printed to the original stream", file=sys.__stdout__, flush=True)
    with open(1, "wb", closefd=False, buffering=0) as descriptor:
        descriptor.write(b"written to the descriptor\n")
    return "quiet"
