"""ShellCommands: runs shell commands with bounded time and output, in a process group of their own.

A command gets an empty standard input, few environment variables and a directory that the file adapter has opened. When
it ends, runs out of time or is cancelled, its whole group is ended: first asked, then killed. What leaves the group
(`setsid`) is not reached here. POSIX only; runs on any asyncio event loop. Knows no tool and no setting but by name,
for errors.
"""

import codecs
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

import anyio
import anyio.to_thread

from app.application.ports import CommandOutcome
from app.domain.errors import OperationFailed

if sys.platform == "darwin":
    import fcntl

_SHELL = "/bin/sh"
_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "TERM"})
_GRACE_SECONDS = 0.4  # between asking the group to end and killing it; and as long for the kill to work
_POLL_SECONDS = 0.01
_CHUNK = 64 * 1024  # what a pipe holds


class ShellCommands:
    """Runs commands with `/bin/sh -c`.

    Args:
        open_directory: gives a descriptor of the directory of a path, for this object to close, or raises
            OperationFailed.
        timeout_seconds: the time limit when a call names none; `max_timeout_seconds` the longest that it may name.
        max_output_bytes: how much of the beginning of each of the two output streams is kept.
        environment: where the few variables that commands get are taken from; the server's own by default.
    """

    def __init__(
        self,
        open_directory: Callable[[str], int],
        *,
        timeout_seconds: float,
        max_timeout_seconds: float,
        max_output_bytes: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._open_directory = open_directory
        self._timeout_seconds = timeout_seconds
        self._max_timeout_seconds = max_timeout_seconds
        self._max_output_bytes = max_output_bytes
        given = os.environ if environment is None else environment
        self._environment = {"PATH": os.defpath} | {
            name: value for name, value in given.items() if name in _PASSED_ON or name.startswith("LC_")
        }

    async def run(self, command: str, working_dir: str | None, timeout_seconds: float | None) -> CommandOutcome:
        """Run a command to its end, its time limit or cancellation; nothing of its group is left running.

        Raises:
            OperationFailed: the command, the working directory or the time limit cannot be used.
        """
        limit = self._limit(timeout_seconds)
        started = time.monotonic()
        group = _ProcessGroup(self._start(command, working_dir))
        outputs = [_Output(stream, self._max_output_bytes) for stream in group.streams]
        try:
            async with anyio.create_task_group() as readers:
                for output in outputs:
                    readers.start_soon(output.drain)
                try:
                    with anyio.move_on_after(limit) as time_limit:
                        await group.leader_ended()
                finally:
                    with anyio.CancelScope(shield=True):
                        await group.end()
                with anyio.move_on_after(
                    _GRACE_SECONDS
                ):  # a process outside the group may hold the pipes open for ever
                    for output in outputs:
                        await output.complete.wait()
                readers.cancel_scope.cancel()
        finally:
            group.kill()
            for stream in group.streams:
                stream.close()
        code = None if time_limit.cancelled_caught else group.exit_code
        return CommandOutcome(
            exit_code=code if code is not None and code >= 0 else None,
            signal=_signal_name(-code) if code is not None and code < 0 else None,
            stdout=outputs[0].text(),
            stderr=outputs[1].text(),
            truncated=any(output.truncated for output in outputs),
            timed_out=time_limit.cancelled_caught,
            duration_seconds=time.monotonic() - started,
        )

    def _limit(self, asked: float | None) -> float:
        if asked is None:
            return self._timeout_seconds
        if not 0 < asked <= self._max_timeout_seconds:
            raise OperationFailed(
                f"The timeout must be above 0 and at most {self._max_timeout_seconds:g} seconds "
                "(commands.max_timeout_seconds)"
            )
        return asked

    def _start(self, command: str, working_dir: str | None) -> subprocess.Popen[bytes]:
        if "\0" in command or not _is_unicode(command):
            raise OperationFailed("The command must be valid text without NUL characters")
        directory = self._open_directory("." if working_dir is None else working_dir)
        try:
            return subprocess.Popen(
                [_SHELL, "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=_path_of(directory),
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise OperationFailed(_why_not_started(error)) from None
        finally:
            os.close(directory)


class _Output:
    """One output stream: its beginning is kept, the rest read and dropped so that the command can go on."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._descriptor = stream.fileno()
        self._most = most
        self._kept = bytearray()
        self.truncated = False
        self.complete = anyio.Event()
        os.set_blocking(self._descriptor, False)

    async def drain(self) -> None:
        """Read until every process has closed its end."""
        while True:
            await anyio.wait_readable(self._descriptor)
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                self.complete.set()
                return
            room = self._most - len(self._kept)
            self._kept += chunk[:room]
            self.truncated = self.truncated or len(chunk) > room

    def text(self) -> str:
        """Return what was kept; a character that the limit cut in two is left out."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return decoder.decode(bytes(self._kept), final=not self.truncated)


class _ProcessGroup:
    """A process that leads a group of its own, and what it has started there.

    Until the leader's end is collected its number cannot be given to another process, so signals sent before that reach
    nobody else; afterwards the number is taken as long as anything is left in the group.
    """

    def __init__(self, leader: subprocess.Popen[bytes]) -> None:
        assert leader.stdout is not None
        assert leader.stderr is not None
        self._leader = leader
        self._is_gone = False
        self.streams: tuple[IO[bytes], IO[bytes]] = (leader.stdout, leader.stderr)

    @property
    def exit_code(self) -> int | None:
        """The leader's exit code, negative for a signal; None while it runs."""
        return self._leader.returncode

    async def leader_ended(self) -> None:
        """Wait for the leader's end, without collecting it where the system allows that."""
        try:
            descriptor = os.pidfd_open(self._leader.pid)
        except (AttributeError, OSError):  # not Linux, or an old one
            while self._leader.poll() is None:  # noqa: ASYNC110 - nothing announces it
                await anyio.sleep(_POLL_SECONDS)
            return
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)

    async def end(self) -> None:
        """Ask the group to end, and kill what has not ended in time. Takes less than a second."""
        for request in (signal.SIGTERM, signal.SIGKILL):
            self._signal(request)
            with anyio.move_on_after(_GRACE_SECONDS):
                while await self._is_running():  # noqa: ASYNC110 - nothing announces the end of a group
                    await anyio.sleep(_POLL_SECONDS)
                self._leader.poll()
                self._is_gone = True
                return

    def kill(self) -> None:
        """Kill what is left, at once. After `end` that is nothing, unless somebody interrupted it."""
        if not self._is_gone and self._is_alive():
            self._signal(signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._leader.wait(_GRACE_SECONDS)

    async def _is_running(self) -> bool:
        return self._is_alive() and await anyio.to_thread.run_sync(_has_running, self._leader.pid)

    def _is_alive(self) -> bool:
        if self._leader.poll() is None:
            return True
        with suppress(ChildProcessError):  # as process 1 of a container this one inherits the orphans
            while os.waitpid(-self._leader.pid, os.WNOHANG)[0]:
                pass
        with suppress(PermissionError):
            try:
                os.killpg(self._leader.pid, 0)
            except ProcessLookupError:
                return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader.pid, number)


def _has_running(group: int) -> bool:
    """Tell whether any process of a group runs; those that only wait for a parent to collect them do not."""
    try:
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return True  # no /proc to look at: then a group that exists counts
    for number in numbers:
        with suppress(OSError, ValueError):
            with open(f"/proc/{number}/stat", "rb") as status:
                state, _, its_group = status.read().rpartition(b")")[2].split()[:3]
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal


def _path_of(directory: int) -> str:
    """Return a path to an open directory that renaming does not lead astray, where the system has such a one."""
    if sys.platform == "darwin":
        return os.fsdecode(fcntl.fcntl(directory, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return f"/proc/self/fd/{directory}"


def _why_not_started(error: OSError) -> str:
    if error.errno == errno.E2BIG:
        return "The command is too long: put it into a script file"
    if error.filename is not None and str(error.filename) != _SHELL:
        return f"The working directory cannot be entered: {error.strerror}"
    return f"The shell cannot be started: {error.strerror}"
