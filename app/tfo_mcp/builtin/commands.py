"""The tool execute_command, and the resources under which long outputs can be read.

Owns what the tool takes and gives, and that a command that fails is a failed call; rights, limits and processes are the
affair of `ctx.commands`.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field
from pydantic_core import to_json

from tfo_mcp.plugins import (
    Command,
    Context,
    Output,
    ResourceLink,
    Text,
    TextContents,
    ToolHints,
    ToolResult,
    resource,
    tool,
)

_OUTPUT_URI = "command-output:///"
_Name = Annotated[str, Field(description="Name of the output, from the answer of execute_command.")]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did. It succeeded when `exit_code` is 0."""

    exit_code: Annotated[int | None, Field(description="Null when a signal or a limit ended the command.")]
    signal: Annotated[str | None, Field(description="Name of the signal that ended the command, if one did.")]
    stdout: str
    stderr: str
    truncated: Annotated[
        bool, Field(description="Whether something is left out in the middle; the links lead to what was kept of it.")
    ]
    stdout_bytes: Annotated[int, Field(description="Bytes that the command wrote to stdout.")]
    stderr_bytes: Annotated[int, Field(description="Bytes that the command wrote to stderr.")]
    stdout_uri: Annotated[
        str | None, Field(description="Resource with the whole of a long stdout, as far as there is room, for an hour.")
    ]
    stderr_uri: Annotated[
        str | None, Field(description="Resource with the whole of a long stderr, as far as there is room, for an hour.")
    ]
    timed_out: Annotated[bool, Field(description="Whether the command was ended by the time limit.")]
    duration_seconds: float
    sandbox: Annotated[str, Field(description="What held the command: bwrap, landlock or none.")]
    too_many_processes: Annotated[
        bool, Field(description="Whether the command was ended for having too many processes (commands.max_processes).")
    ]


@tool(
    title="Run a command",
    scope="tools:execute",
    hints=ToolHints(read_only=False, destructive=True, idempotent=False, open_world=True),
    output_schema=CommandResult,
)
async def execute_command(
    ctx: Context,
    command: Annotated[
        str | None, Field(min_length=1, description="A text for the shell (`sh -c`). Give this or `argv`.")
    ] = None,
    argv: Annotated[
        list[str] | None, Field(min_length=1, description="A program and its arguments, run without a shell.")
    ] = None,
    *,
    working_dir: Annotated[
        str | None,
        Field(min_length=1, description="Directory to run in, relative to the first root; by default that root."),
    ] = None,
    timeout: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="Seconds after which the command is ended."),
    ] = None,
) -> ToolResult:
    """Run a command to its end and answer with its output. It reaches only the server's directories.

    Its standard input is empty, and what it leaves running is ended.
    """

    async def on_output(size: int, news: str) -> None:
        await ctx.progress(size, message=news)

    wanted = Command(tuple(argv or ()), command, working_dir, timeout)
    outcome = await ctx.commands.run(wanted, on_output)
    result = CommandResult(
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        stdout=outcome.stdout.text,
        stderr=outcome.stderr.text,
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
        for name, output in (("stdout", outcome.stdout), ("stderr", outcome.stderr))
        if (uri := _uri(output)) is not None
    ]
    return ToolResult((Text(to_json(asdict(result)).decode()), *links), result, outcome.exit_code != 0)


@resource(_OUTPUT_URI + "{name}", name="command_output", title="Output of a command")
async def command_output(name: _Name, ctx: Context) -> TextContents:
    """The output of a command that was too long for an answer; kept for an hour, as far as there is room."""
    return await _contents(f"{_OUTPUT_URI}{name}", ctx, name, 0, None)


@resource(_OUTPUT_URI + "{name}/{first}-{last}", name="command_output_range", title="Part of a command's output")
async def command_output_range(
    name: _Name,
    first: Annotated[int, Field(ge=0, description="The first byte, from 0.")],
    last: Annotated[int, Field(ge=0, description="The byte after the last one.")],
    ctx: Context,
) -> TextContents:
    """Some bytes of such an output, where it is too long to be read at once."""
    return await _contents(f"{_OUTPUT_URI}{name}/{first}-{last}", ctx, name, first, last)


async def _contents(uri: str, ctx: Context, name: str, first: int, last: int | None) -> TextContents:
    data = await ctx.commands.saved_output(name, first, last)
    return TextContents(uri, data.decode(errors="replace"), "text/plain")


def _uri(output: Output) -> str | None:
    return None if output.saved is None else f"{_OUTPUT_URI}{output.saved}"


def _kept(name: str, output: Output) -> str:
    part = "The whole" if output.saved_size == output.size else f"The first {output.saved_size} bytes of"
    return f"{part} {name}, for an hour"
