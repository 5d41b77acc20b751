"""The tool execute_command, and the resources that serve saved command output.

Owns the tool's parameters and result, and the rule that a nonzero exit is a failed call. Permissions, limits and
processes belong to `ctx.commands`.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field
from pydantic_core import to_json

from tfo_mcp.plugins import (
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

_OUTPUT_URI = "command-output:///"
_Name = Annotated[str, Field(description="Name of the saved output, taken from the URI in an execute_command result.")]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Result of a command. The command succeeded if `exit_code` is 0."""

    exit_code: Annotated[int | None, Field(description="Exit code; null if a signal or a limit ended the command.")]
    signal: Annotated[str | None, Field(description="Name of the signal that ended the command, otherwise null.")]
    stdout: str
    stderr: str
    truncated: Annotated[
        bool,
        Field(
            description="Whether stdout or stderr is truncated in the middle. Read the full output from stdout_uri "
            "or stderr_uri."
        ),
    ]
    stdout_bytes: Annotated[int, Field(description="Number of bytes that the command wrote to stdout.")]
    stderr_bytes: Annotated[int, Field(description="Number of bytes that the command wrote to stderr.")]
    stdout_uri: Annotated[
        str | None,
        Field(description="Resource URI of the saved stdout if it was truncated. Kept for one hour, space permitting."),
    ]
    stderr_uri: Annotated[
        str | None,
        Field(description="Resource URI of the saved stderr if it was truncated. Kept for one hour, space permitting."),
    ]
    timed_out: Annotated[bool, Field(description="Whether the command was killed because it exceeded the timeout.")]
    duration_seconds: float
    sandbox: Annotated[str, Field(description="Sandbox that confined the command: bwrap, landlock or none.")]
    too_many_processes: Annotated[
        bool,
        Field(
            description="Whether the command was killed because it exceeded the process limit (commands.max_processes)."
        ),
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
        str | None,
        Field(min_length=1, description="Shell command line, run with `sh -c`. Give either `command` or `argv`."),
    ] = None,
    argv: Annotated[
        list[str] | None,
        Field(min_length=1, description="Program and its arguments, run without a shell. Alternative to `command`."),
    ] = None,
    *,
    working_dir: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Working directory: relative to the first root directory, or absolute. Default: the first "
            "root directory.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Timeout in seconds; the command is killed when it expires. Defaults to "
            "commands.timeout_seconds (30) and may be at most commands.max_timeout_seconds (300), unless configured "
            "otherwise.",
        ),
    ] = None,
) -> ToolResult:
    """Run a command, wait until it exits and return its exit code, stdout and stderr.

    Standard input is empty. Background processes are killed when the command exits. Unless turned off, a sandbox limits
    file access to the root directories and the system files that programs need. It blocks the network by default.
    """

    async def on_output(size: int, news: str) -> None:
        await ctx.progress(size, message=news)

    wanted = Program(tuple(argv or ()), command, working_dir, timeout)
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


def _uri(output: Output) -> str | None:
    return None if output.saved is None else f"{_OUTPUT_URI}{output.saved}"


def _kept(name: str, output: Output) -> str:
    part = "Complete" if output.saved_size == output.size else f"First {output.saved_size} bytes of"
    return f"{part} {name}, kept for one hour"
