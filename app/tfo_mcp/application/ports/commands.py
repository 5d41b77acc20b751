"""The port for running programs in the sandbox, and for reading their saved output."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from tfo_mcp.value_objects import value_object

OutputName = Literal["stdout", "stderr"]
OnOutput = Callable[[int, str], Awaitable[None]]
"""Called with new output while a command runs: total bytes of both streams so far, and some of the latest text."""


@value_object
class Program:
    """A program to run: either a program with arguments (`argv`), or a shell command line (`shell`)."""

    argv: Sequence[str] = ()
    shell: str | None = None
    working_dir: str | None = None
    timeout_seconds: float | None = None


@value_object
class Output:
    """One output stream. If `cut`, `text` is truncated in the middle.

    `size` is the number of bytes that the command wrote. The first `saved_size` of them are saved for a limited time
    under the name `saved`: all of them, unless space runs out.
    """

    text: str
    size: int
    cut: bool = False
    saved: str | None = None
    saved_size: int = 0


@value_object
class CommandOutcome:
    """Result of a command. Either `exit_code` or `signal` is set, neither if a limit ended the command.

    `timed_out` and `too_many_processes` say which limit; `sandbox` is the sandbox tier that confined the command.
    `shown` is stdout and stderr as a terminal shows them: their lines in the order of arrival, each complete.
    """

    exit_code: int | None
    signal: str | None
    stdout: Output
    stderr: Output
    shown: str
    timed_out: bool
    duration_seconds: float
    sandbox: str
    too_many_processes: bool = False


class CommandRunner(Protocol):
    """Runs programs with limited permissions, time, memory and output."""

    async def run(self, command: Program, owner: str, on_output: OnOutput | None = None) -> CommandOutcome:
        """Run a command until it exits, times out or is cancelled; all its processes are killed then.

        Only `owner` can read the saved output.

        Raises:
            OperationFailed: the command is not allowed or cannot be run; the message says why.
        """

    async def saved_output(self, name: str, owner: str, first: int, last: int | None) -> bytes:
        """Return the bytes of a saved output from offset `first` to `last` (exclusive; None: to the end).

        Raises:
            FileMissing: no such output exists for this owner, or it has expired.
            OperationFailed: the range exceeds the read limit.
        """
