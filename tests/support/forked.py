"""Processes of the command that are forked from one that has imported the application already.

Importing takes 350 ms of processor, forking a tenth of that, and the tests start a thousand processes. A forked process
runs the entry point of the installed command with its own arguments, environment, working directory and descriptors.
What happens before it, in a new interpreter, is for the tests that start `command()` themselves. Variables that only a
new interpreter reads, such as those of the encoding, have no effect here.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, chdir, suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.reduction import DupFd
from pathlib import Path
from threading import RLock
from typing import IO, Any

PROJECT = Path(__file__).resolve().parents[2]
_PRELOADED = "tests.support.preloaded"
_LOCK = RLock()
"""For each exit code, which can be read once: a start reads those of all processes, also from another thread."""


class ForkedProcess:
    """A forked process, with the part of the interface of `subprocess.Popen` that tests use."""

    def __init__(self, process: Any, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> None:
        self._process = process
        self.stdin = stdin
        self.stdout = stdout

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._process.pid)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        with _LOCK:
            code: int | None = self._process.exitcode
        return code

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        wait([self._process.sentinel], timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired("tfo-mcp", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, and its exit code is not here yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fork_command(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    pipes: bool,
    stderr: IO[bytes],
    stdout: IO[bytes] | None = None,
) -> ForkedProcess:
    """Run the command in a forked process.

    Args:
        arguments: the arguments after `tfo-mcp` on the command line.
        environment: all environment variables.
        directory: the working directory.
        pipes: whether stdin and stdout are pipes; otherwise both are the null device, unless `stdout` is a file.
    """
    with ExitStack() as on_start:

        def kept(descriptor: int) -> int:
            on_start.callback(os.close, descriptor)
            return descriptor

        ours_in: IO[bytes] | None = None
        ours_out: IO[bytes] | None = None
        if pipes:
            (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
            theirs = [kept(read_in), kept(write_out)]
            ours_in, ours_out = os.fdopen(write_in, "wb"), os.fdopen(read_out, "rb")
        else:
            null = kept(os.open(os.devnull, os.O_RDWR))
            theirs = [null, null if stdout is None else stdout.fileno()]
        process = _context().Process(
            target=_run,
            args=(list(arguments), dict(environment), str(directory), _Descriptors((*theirs, stderr.fileno()))),
        )
        with _LOCK:
            process.start()
    return ForkedProcess(process, ours_in, ours_out)


class _Descriptors:
    """Descriptors that the process gets duplicates of."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, tuple(DupFd(number) for number in self._numbers)


def _detached(*duplicates: Any) -> list[int]:
    return [duplicate.detach() for duplicate in duplicates]


@cache
def _context() -> ForkServerContext:
    """Return the context of the process that others are forked from, which runs from now on."""
    context = get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    with chdir(PROJECT):
        ensure_running()
    return context


def _run(arguments: list[str], environment: dict[str, str], directory: str, descriptors: list[int]) -> None:
    """Run the entry point in the forked process."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in set(descriptors) - {0, 1, 2}:
        os.close(descriptor)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, closefd=False)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    added = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [*added, *(entry for entry in sys.path if entry not in ("", str(PROJECT)))]
    sys.argv = [str(Path(sys.executable).with_name("tfo-mcp")), *arguments]
    from tfo_mcp_transports.cli.main import main

    main()
