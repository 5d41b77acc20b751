"""The tool execute_command.

Owns what the tool takes and gives, and that a command that fails is a failed call; limits and processes are the affair
of `ctx.commands`.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field

from app.plugins import Context, ToolHints, ToolResult, tool


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did. It succeeded when `exit_code` is 0."""

    exit_code: Annotated[int | None, Field(description="Null when a signal or the time limit ended the command.")]
    signal: Annotated[str | None, Field(description="Name of the signal that ended the shell, if one did.")]
    stdout: str
    stderr: str
    truncated: Annotated[bool, Field(description="Whether only the beginning of the output is given.")]
    timed_out: Annotated[bool, Field(description="Whether the command was ended by the time limit.")]
    duration_seconds: float


@tool(
    title="Run a command",
    hints=ToolHints(read_only=False, destructive=True, idempotent=False, open_world=True),
    output_schema=CommandResult,
)
async def execute_command(
    command: Annotated[str, Field(min_length=1, description="What to run, for `sh -c`. Its standard input is empty.")],
    ctx: Context,
    working_dir: Annotated[
        str | None,
        Field(min_length=1, description="Directory to run in, relative to the first root; by default that root."),
    ] = None,
    timeout: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="Seconds after which the command is ended."),
    ] = None,
) -> ToolResult:
    """Run a shell command to its end and answer with its output. What it leaves running is ended."""
    outcome = await ctx.commands.run(command, working_dir, timeout)
    return ToolResult(structured=CommandResult(**asdict(outcome)), is_error=outcome.exit_code != 0)
