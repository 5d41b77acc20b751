"""The tool execute_command, and the resources that serve saved command output.

Owns the tool's parameters and result, and the rule that a nonzero exit is a failed call. Permissions, limits and
processes belong to `ctx.commands`.
"""

from typing import Annotated

from pydantic import Field

from tfo_mcp.builtin.output_schemas import members
from tfo_mcp.builtin.structured_content import is_repeated
from tfo_mcp.plugins import (
    CommandOutcome,
    Context,
    Output,
    Program,
    ResourceLink,
    Text,
    TextContents,
    ToolHints,
    ToolResult,
    resource,
    tool,
)
from tfo_mcp.value_objects import value_object

_OUTPUT_URI = "command-output:///"
_Name = Annotated[str, Field(description="Name of the saved output, taken from the URI in an execute_command result.")]


@value_object
class CommandResult:
    """Result of a command. The command succeeded if `exit_code` is 0; it is null if a signal or a limit ended it.

    `stdout` and `stderr` are null if they are long: then only the text has them. If they were truncated, the URIs name
    the complete outputs, which are kept for one hour, space permitting.
    """

    exit_code: int | None
    signal: str | None
    stdout: str | None
    stderr: str | None
    truncated: bool
    stdout_bytes: int
    stderr_bytes: int
    stdout_uri: str | None
    stderr_uri: str | None
    timed_out: bool
    duration_seconds: float
    sandbox: str
    too_many_processes: bool


@tool(
    title="Run a command",
    scope="tools:execute",
    hints=ToolHints(read_only=False, destructive=True, idempotent=False, open_world=True),
    output_schema=members(
        exit_code="integer?", stdout="string?", stderr="string?", truncated="boolean", timed_out="boolean"
    ),
)
async def execute_command(
    ctx: Context,
    command: Annotated[
        str | None, Field(min_length=1, description="Shell command line. Give either `command` or `argv`.")
    ] = None,
    argv: Annotated[
        list[str] | None, Field(min_length=1, description="Program and arguments, run without a shell.")
    ] = None,
    *,
    working_dir: Annotated[str | None, Field(min_length=1, description="Default: the first root.")] = None,
    timeout: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="Seconds; default 30, at most 300."),
    ] = None,
) -> ToolResult:
    """Run a command and return its output and exit code. By default it has no network, and only files of the roots."""

    async def on_output(size: int, news: str) -> None:
        await ctx.progress(size, message=news)

    wanted = Program(tuple(argv or ()), command, working_dir, timeout)
    outcome = await ctx.commands.run(wanted, on_output)
    outputs = {"stdout": outcome.stdout, "stderr": outcome.stderr}
    repeats_output = is_repeated(outcome.stdout.text, outcome.stderr.text)
    result = CommandResult(
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        stdout=outcome.stdout.text if repeats_output else None,
        stderr=outcome.stderr.text if repeats_output else None,
        truncated=outcome.stdout.cut or outcome.stderr.cut,
        stdout_bytes=outcome.stdout.size,
        stderr_bytes=outcome.stderr.size,
        stdout_uri=_uri(outcome.stdout),
        stderr_uri=_uri(outcome.stderr),
        timed_out=outcome.timed_out,
        duration_seconds=outcome.duration_seconds,
        sandbox=outcome.sandbox,
        too_many_processes=outcome.too_many_processes,
    )
    links = [
        ResourceLink(uri, name, description=_kept(name, output), mime_type="text/plain", size=output.saved_size)
        for name, output in outputs.items()
        if (uri := _uri(output)) is not None
    ]
    return ToolResult((Text(_as_terminal(outcome)), *links), result, outcome.exit_code != 0)


@resource(_OUTPUT_URI + "{name}", name="command_output", title="Output of a command")
async def command_output(name: _Name, ctx: Context) -> TextContents:
    """Saved stdout or stderr of a command whose output was truncated. Kept for one hour, space permitting."""
    return await _contents(f"{_OUTPUT_URI}{name}", ctx, name, 0, None)


@resource(_OUTPUT_URI + "{name}/{first}-{last}", name="command_output_range", title="Part of a command's output")
async def command_output_range(
    name: _Name,
    first: Annotated[int, Field(ge=0, description="Offset of the first byte; 0 is the beginning of the output.")],
    last: Annotated[int, Field(ge=0, description="Offset of the end of the range, exclusive.")],
    ctx: Context,
) -> TextContents:
    """Byte range of a saved command output. Use it for output that is too large for one read (1 MiB)."""
    return await _contents(f"{_OUTPUT_URI}{name}/{first}-{last}", ctx, name, first, last)


async def _contents(uri: str, ctx: Context, name: str, first: int, last: int | None) -> TextContents:
    data = await ctx.commands.saved_output(name, first, last)
    return TextContents(uri, data.decode(errors="replace"), "text/plain")


def _as_terminal(outcome: CommandOutcome) -> str:
    """Return stdout and stderr as a terminal shows them, and a line that says how the command ended."""
    cut = {"stdout": outcome.stdout, "stderr": outcome.stderr}
    more = "".join(f"[{_more(name, output)}]\n" for name, output in cut.items() if output.saved is not None)
    return f"{outcome.shown}{more}[{_end(outcome)}]"


def _more(name: str, output: Output) -> str:
    uri = _uri(output)
    return f"Truncated. Continue with the resource {uri}, or {uri}/FIRST-LAST for these bytes of {name}."


def _end(outcome: CommandOutcome) -> str:
    after = f"after {outcome.duration_seconds:.1f} s"
    if outcome.timed_out:
        return f"timed out {after}"
    if outcome.too_many_processes:
        return f"killed {after}: too many processes (commands.max_processes)"
    if outcome.signal is not None:
        return f"ended by {outcome.signal} {after}"
    return f"exit code {outcome.exit_code}"


def _uri(output: Output) -> str | None:
    return None if output.saved is None else f"{_OUTPUT_URI}{output.saved}"


def _kept(name: str, output: Output) -> str:
    part = "Complete" if output.saved_size == output.size else f"First {output.saved_size} bytes of"
    return f"{part} {name}, kept for one hour"
