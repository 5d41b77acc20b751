from collections.abc import Callable

from tfo_mcp.plugins import Context, Program, SyncContext, ToolHints, tool


@tool(hints=ToolHints(read_only=True))
def crunch(rounds: int, ctx: SyncContext) -> int:
    """Work in a thread, report progress, and stop when the call is cancelled."""
    done = 0
    while done < rounds and not ctx.cancelled:
        done += 1
        ctx.progress(done, total=rounds, message=f"round {done}")
    ctx.log("info", {"rounds": done}, logger="crunch")
    return done


def make_extra() -> Callable[[], str]:
    """Return a tool that is not an attribute of the module, so it is not served from the start."""

    @tool()
    def extra() -> str:
        """A tool that is added at run time."""
        return "here"

    return extra


extra_tool = [make_extra()]


@tool()
async def switch_extra(on: bool, ctx: Context) -> str:
    """Add or remove a tool at run time."""
    await (ctx.register if on else ctx.unregister)(extra_tool[0])
    return "on" if on else "off"


@tool(hints=ToolHints(read_only=True))
async def count_lines(path: str, ctx: Context) -> int:
    """Count the lines of a file beneath the roots."""
    return (await ctx.files.read(path)).count(b"\n")


@tool(hints=ToolHints(destructive=False))
async def disk_use(ctx: Context) -> str:
    """Return the disk usage of the first root."""
    outcome = await ctx.commands.run(Program(("du", "-sh", "."), timeout_seconds=10))
    return outcome.stdout.text if outcome.exit_code == 0 else f"du failed: {outcome.stderr.text}"
