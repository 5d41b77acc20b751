"""Runs the command to its end in forked processes, and returns its output and exit code.

Also waits for output of a command that keeps running. Knows no sub-command.
"""

import os
import pty
import re
import select
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.support.deadlines import PATIENCE, Deadline
from tests.support.forked import fork_command
from tests.support.processes import Child, command, environment

Environment = Mapping[str, str] | None


@dataclass(frozen=True)
class Outcome:
    """The exit code and the output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The error message of a command that was used wrongly; asserts exit code 2 and an empty stdout."""
        assert self.code == 2, self
        assert self.stdout == "", self
        assert self.stderr.startswith("tfo-mcp: "), self
        assert "Traceback" not in self.stderr, self
        return self.stderr

    @property
    def only_complaint(self) -> str:
        """The same as `complaint`, which must be a single line."""
        assert len(self.complaint.splitlines()) == 1, self
        return self.complaint

    @property
    def result(self) -> str:
        """The output of a successful command."""
        assert self.code == 0, self
        return self.stdout


def run_on_terminal(*arguments: str, directory: Path, typed: bytes = b"") -> tuple[Outcome, str]:
    """Run `tfo-mcp` with its errors on a terminal, and its input if something is typed; return what that shows, too."""
    terminal, child_side = pty.openpty()
    try:
        os.write(terminal, typed)
        done = subprocess.run(
            [*command(), *arguments],
            cwd=directory,
            env=environment({"TERM": "dumb"}),
            stdin=child_side if typed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=child_side,
            timeout=3 * PATIENCE,
            check=False,
        )
        shown = os.read(terminal, 65536).decode()
    finally:
        os.close(child_side)
        os.close(terminal)
    return Outcome(done.returncode, done.stdout.decode(), ""), shown


def run(
    *arguments: str | Path, directory: Path, variables: Environment = None, seconds: float = 4 * PATIENCE
) -> Outcome:
    """Run `tfo-mcp` with these arguments in `directory`, without input."""
    (outcome,) = run_together([arguments], directory=directory, variables=variables, seconds=seconds)
    return outcome


def run_together(
    lines: Sequence[Sequence[str | Path]],
    *,
    directory: Path,
    variables: Environment = None,
    seconds: float = 4 * PATIENCE,
) -> list[Outcome]:
    """Run independent command lines concurrently, and return their outcomes in the same order."""
    with ExitStack() as stack:
        files = [tuple(stack.enter_context(TemporaryFile()) for _ in range(2)) for _ in lines]
        started = [
            fork_command(
                [str(argument) for argument in line],
                environment=environment({"COLUMNS": "200", **(variables or {})}),
                directory=directory,
                pipes=False,
                stdout=stdout,
                stderr=stderr,
            )
            for line, (stdout, stderr) in zip(lines, files, strict=True)
        ]
        for process in started:
            stack.callback(process.kill)
        codes = [process.wait(seconds) for process in started]
        texts = [[_read(file) for file in both] for both in files]
    return [Outcome(code, *both) for code, both in zip(codes, texts, strict=True)]


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def printed(child: Child, pattern: str, seconds: float = 2 * PATIENCE) -> re.Match[str]:
    """Read the standard output of a running child until it matches `pattern`, and return the match."""
    assert child.process.stdout is not None
    descriptor = child.process.stdout.fileno()
    deadline = Deadline(seconds, f"{pattern} on standard output")
    text = ""
    while (match := re.search(pattern, text, re.DOTALL)) is None:
        if select.select([descriptor], [], [], deadline.left())[0]:
            more = os.read(descriptor, 65536)
            assert more, f"Standard output ended; it was {text!r}, and stderr {child.stderr()}"
            text += more.decode()
    return match
