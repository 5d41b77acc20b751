"""The port of commands: programs that are run confined, and what they leave to be read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

OutputName = Literal["stdout", "stderr"]
OnOutput = Callable[[int, str], Awaitable[None]]
"""Told of new output while a command runs: bytes so far of both streams together, and some of the latest text."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, or a text for the shell: one of the two."""

    argv: Sequence[str] = ()
    shell: str | None = None
    working_dir: str | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One output stream. When `cut`, `text` is its beginning and its end.

    `size` is the number of bytes that the command wrote. The first `saved_size` of them are kept under `saved`, for a
    while: all of them unless there is no room.
    """

    text: str
    size: int
    cut: bool = False
    saved: str | None = None
    saved_size: int = 0


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What a command did. One of `exit_code` and `signal` is set, neither when it was ended by a limit.

    `timed_out` and `too_many_processes` say which limit, `sandbox` is the tier that held it.
    """

    exit_code: int | None
    signal: str | None
    stdout: Output
    stderr: Output
    timed_out: bool
    duration_seconds: float
    sandbox: str
    too_many_processes: bool = False


class CommandRunner(Protocol):
    """Runs programs with bounded rights, time, memory and output."""

    async def run(self, command: Command, owner: str, on_output: OnOutput | None = None) -> CommandOutcome:
        """Run to the end, to the time limit or to cancellation; nothing of it is left running.

        `owner` is the only one who can read what was saved.

        Raises:
            OperationFailed: the command may not or cannot be run; the message says why.
        """

    async def saved_output(self, name: str, owner: str, first: int, last: int | None) -> bytes:
        """Return the bytes from `first` up to `last` (not included) of an output that was saved.

        Raises:
            FileMissing: there is none of that name, or not for this owner, or not any more.
            OperationFailed: the range is over the limit of what is read at once.
        """
