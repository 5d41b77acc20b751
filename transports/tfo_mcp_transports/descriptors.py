"""Asynchronous reads and line writes on file descriptors of any kind, and their states.

Pipes, sockets and terminals are watched by the event loop. Regular files and devices cannot be watched: they are read
in a thread and written synchronously. Also reserves standard input and output for the transport. Knows no message.
"""

import asyncio
import fcntl
import os
import select
import stat
import sys
import termios
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice

import anyio
import anyio.to_thread

from tfo_mcp_transports.pending_output import ReaderProgress, TurnBuffer

_READ_BYTES = 256 * 1024
_JOINED_BYTES = 64 * 1024  # of output that are joined to one piece; a copy of more would cost more than it saves
_VECTORS = 64  # pieces in one system call
_UNSENT_BYTES = 1024 * 1024  # of buffered output, above which `send` waits
_CLOSED = "Serving over stdio needs standard input and output to be open"
_POLLRDHUP: int = getattr(select, "POLLRDHUP", 0)  # Linux has it


class StreamsClosedError(Exception):
    """Standard input or output is not open."""


@contextmanager
def private_streams() -> Iterator[tuple[int, int]]:
    """Reserve standard input and output for the transport, and yield their new descriptors.

    Until the context is left, file descriptor 1 refers to stderr and 0 to the null device, so that no library and no
    child process can write to the transport or read from it.

    Raises:
        StreamsClosedError: the process was started without standard input or output.
    """
    if sys.__stdin__ is None or sys.__stdout__ is None:  # the null device is open in their place
        raise StreamsClosedError(_CLOSED)
    try:
        descriptor_in, descriptor_out = os.dup(0), os.dup(1)
        blocking = os.get_blocking(descriptor_in), os.get_blocking(descriptor_out)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
    except OSError:
        raise StreamsClosedError(_CLOSED) from None
    try:
        yield descriptor_in, descriptor_out
    finally:
        os.set_blocking(descriptor_in, blocking[0])
        os.set_blocking(descriptor_out, blocking[1])


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect standard output to stderr until the context is left."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def untaken(descriptor: int) -> int:
    """Return how many sent bytes the other end of a socket has not received yet; 0 where that is unknown.

    Linux reports a socket as writable only when a third of its buffer is free (socket(7), ioctl SIOCOUTQ). Without
    this figure, a slow reader cannot be distinguished from one that has stopped.
    """
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0"), sys.byteorder)
    except (OSError, ValueError):  # it is closed, or not a socket
        return 0


def has_left(descriptor: int, *, ends_with_sending: bool = False) -> bool:
    """Return whether the other end of a descriptor is closed, so that output cannot be read any more.

    An event loop detects this only while it reads.

    Args:
        ends_with_sending: whether a client that has shut down its sending side counts as disconnected. A TCP socket
            cannot distinguish the two; a Unix socket can.
    """
    return _polled(descriptor, select.POLLERR | select.POLLHUP | (_POLLRDHUP if ends_with_sending else 0))


def has_input(descriptor: int) -> bool:
    """Return whether a read would return at once, with bytes or the end of the input."""
    return _polled(descriptor, select.POLLIN)


def _polled(descriptor: int, events: int) -> bool:
    poll = select.poll()
    try:
        poll.register(descriptor, events)
        return any(found & events for _, found in poll.poll(0))
    except (OSError, ValueError):  # it is closed
        return False


def _can_be_watched(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


Rest = Callable[[], Awaitable[bool]]
"""Takes the rest of a chunk; returns whether to read on."""
Take = Callable[[bytes], Rest | None]
"""Takes a chunk of input at once; returns what takes the rest of it, for which reading waits, or None."""


async def read_chunks(descriptor: int, take: Take) -> None:
    """Read until the end of the input, or until `take` wants no more.

    A descriptor that can be watched is read in the callback of the event loop, so that a chunk is taken in the turn of
    the loop in which it arrives.

    Raises:
        OSError: the descriptor cannot be read.
    """
    if not _can_be_watched(descriptor):
        while chunk := await anyio.to_thread.run_sync(os.read, descriptor, _READ_BYTES, abandon_on_cancel=True):
            if (rest := take(chunk)) is not None and not await rest():
                return
        return
    os.set_blocking(descriptor, False)
    while (rest := await _read_until_full(descriptor, take)) is not None and await rest():
        pass


async def _read_until_full(descriptor: int, take: Take) -> Rest | None:
    """Read until `take` leaves the rest of a chunk, and return what takes it; None at the end of the input."""
    loop = asyncio.get_running_loop()
    full: asyncio.Future[Rest | None] = loop.create_future()

    def read() -> None:
        if full.done():
            return
        try:
            chunk = os.read(descriptor, _READ_BYTES)
            rest = take(chunk) if chunk else None
        except BlockingIOError:
            return
        except ConnectionError:
            chunk, rest = b"", None
        except Exception as problem:
            full.set_exception(problem)
            return
        if rest is not None or not chunk:
            full.set_result(rest)

    loop.add_reader(descriptor, read)
    try:
        return await full
    finally:
        loop.remove_reader(descriptor)


class LineWriter:
    """Writes lines to a descriptor without blocking; all lines of one event loop iteration share one write.

    Args:
        descriptor: where to write.
        on_broken: called once when the reader has disconnected or stalled; later lines are dropped.
        stalled_seconds: maximum time in which the reader makes no progress; None for no limit.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], None], stalled_seconds: float | None = None) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._stalled_seconds = stalled_seconds
        self._stalling: asyncio.TimerHandle | None = None
        self._progress = ReaderProgress(partial(untaken, descriptor))
        self._loop = asyncio.get_running_loop()
        self._watched = _can_be_watched(descriptor)
        self._lines = TurnBuffer(self._loop, self._send_lines)
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._broken = False
        self._room = anyio.Event()
        self._room.set()
        self._empty = anyio.Event()
        if self._watched:
            os.set_blocking(descriptor, False)

    def write(self, line: bytes) -> None:
        """Buffer a line, given without its newline, for the next write."""
        if not self._broken:
            self._lines.add(line)

    async def send(self, line: bytes) -> None:
        """Buffer a line, given without its newline; wait first while the unsent output is above the limit."""
        if not self._room.is_set():
            await self._room.wait()
        self.write(line)

    async def flush(self, seconds: float) -> None:
        """Send the buffered output, for at most `seconds`."""
        self._lines.flush()
        if self._unsent:
            with anyio.move_on_after(seconds):
                await self._empty.wait()

    def close(self) -> None:
        """Stop using the descriptor; lines that are written afterwards are dropped."""
        self._broken = True
        self._lines.clear()
        self._stop_watching()

    def _send_lines(self, parts: list[bytes], size: int) -> None:
        """Send lines, given without their newlines; large ones are not copied."""
        was_empty = not self._unsent
        joined = (
            [b"\n".join([*parts, b""])] if size <= _JOINED_BYTES else [part for line in parts for part in (line, b"\n")]
        )
        self._unsent.extend(map(memoryview, joined))
        self._unsent_bytes += size + len(parts)
        if was_empty:
            self._send_waiting()
            if not self._unsent:
                return
            self._empty = anyio.Event()
            self._loop.add_writer(self._descriptor, self._send_more)
            self._expect_reading()
        if self._unsent_bytes > _UNSENT_BYTES and self._room.is_set():
            self._room = anyio.Event()

    def _send_more(self) -> None:
        self._send_waiting()
        self._expect_reading()
        if self._unsent_bytes <= _UNSENT_BYTES:
            self._room.set()
        if not self._unsent:
            self._stop_watching()
            self._empty.set()

    def _send_waiting(self) -> None:
        """Write the waiting output as far as the descriptor takes it; drop it when the reader has disconnected."""
        while self._unsent:
            try:
                sent = os.writev(self._descriptor, list(islice(self._unsent, _VECTORS)))
            except BlockingIOError:
                return
            except OSError:
                self._break()
                self._drop_waiting()
                return
            self._unsent_bytes -= sent
            while sent and sent >= len(self._unsent[0]):
                sent -= len(self._unsent.popleft())
            if sent:
                self._unsent[0] = self._unsent[0][sent:]

    def _drop_waiting(self) -> None:
        self._unsent.clear()
        self._unsent_bytes = 0

    def _expect_reading(self) -> None:
        """Restart the stall timeout, after progress or with the first pending output."""
        if self._stalled_seconds is not None:
            if self._stalling is not None:
                self._stalling.cancel()
            self._progress.begin()
            self._stalling = self._loop.call_later(self._stalled_seconds, self._look, self._stalled_seconds)

    def _look(self, stalled_seconds: float) -> None:
        left = stalled_seconds - self._progress.stalled_seconds()
        if left > 0:
            self._stalling = self._loop.call_later(left, self._look, stalled_seconds)
            return
        self._break()
        self._drop_waiting()
        self._stop_watching()
        self._empty.set()

    def _break(self) -> None:
        if not self._broken:
            self._broken = True
            self._room.set()
            self._on_broken()

    def _stop_watching(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None
        if self._watched:
            self._loop.remove_writer(self._descriptor)
