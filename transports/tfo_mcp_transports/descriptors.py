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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread

_READ_BYTES = 256 * 1024
_GATHERED_BYTES = 64 * 1024
_UNSENT_BYTES = 1024 * 1024  # of buffered output, above which `send` waits
_POLLRDHUP: int = getattr(select, "POLLRDHUP", 0)  # Linux has it


class StreamsClosedError(Exception):
    """Standard input or output is not open."""


@contextmanager
def private_streams() -> Iterator[tuple[int, int]]:
    """Reserve standard input and output for the transport, and yield their new descriptors.

    Until the context is left, file descriptor 1 refers to stderr and 0 to the null device, so that no library and no
    child process can write to the transport or read from it.

    Raises:
        StreamsClosedError: the process was started without standard input, output or error.
    """
    try:
        descriptor_in, descriptor_out = os.dup(0), os.dup(1)
        blocking = os.get_blocking(descriptor_in), os.get_blocking(descriptor_out)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
    except OSError:
        raise StreamsClosedError("Serving over stdio needs standard input, output and error to be open") from None
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


async def chunks(descriptor: int) -> AsyncIterator[bytes]:
    """Yield chunks of bytes until the end of the input."""
    if not _can_be_watched(descriptor):
        while chunk := await anyio.to_thread.run_sync(os.read, descriptor, _READ_BYTES, abandon_on_cancel=True):
            yield chunk
        return
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            try:
                chunk = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                continue
            except ConnectionError:
                return
            if not chunk:
                return
            yield chunk
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
        self._untaken = 0
        self._loop = asyncio.get_running_loop()
        self._watched = _can_be_watched(descriptor)
        self._lines: list[bytes] = []
        self._gathered = 0
        self._unsent = bytearray()
        self._broken = False
        self._room = anyio.Event()
        self._room.set()
        self._empty = anyio.Event()
        if self._watched:
            os.set_blocking(descriptor, False)

    def write(self, line: bytes) -> None:
        """Buffer a line, given without its newline, for the next write."""
        if self._broken:
            return
        if not self._lines:
            self._loop.call_soon(self._flush)
        self._lines.append(line)
        self._gathered += len(line)
        if self._gathered > _GATHERED_BYTES:  # the writer has to learn at once when it is too much
            self._flush()

    async def send(self, line: bytes) -> None:
        """Buffer a line, given without its newline; wait first while the unsent output is above the limit."""
        if not self._room.is_set():
            await self._room.wait()
        self.write(line)

    async def flush(self, seconds: float) -> None:
        """Send the buffered output, for at most `seconds`."""
        self._flush()
        if self._unsent:
            with anyio.move_on_after(seconds):
                await self._empty.wait()

    def close(self) -> None:
        """Stop using the descriptor; lines that are written afterwards are dropped."""
        self._broken = True
        self._lines.clear()
        self._stop_watching()

    def _flush(self) -> None:
        if not self._lines:
            return
        self._lines.append(b"")
        lines, self._lines, self._gathered = b"\n".join(self._lines), [], 0
        if self._unsent:
            self._unsent += lines
        else:
            sent = self._send(lines)
            if sent == len(lines) or self._broken:
                return
            self._unsent += lines[sent:]
            self._empty = anyio.Event()
            self._loop.add_writer(self._descriptor, self._send_more)
            self._expect_reading()
        if len(self._unsent) > _UNSENT_BYTES and self._room.is_set():
            self._room = anyio.Event()

    def _send_more(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        self._expect_reading()
        if len(self._unsent) <= _UNSENT_BYTES:
            self._room.set()
        if not self._unsent:
            self._stop_watching()
            self._empty.set()

    def _send(self, data: bytes | bytearray) -> int:
        """Return how many bytes were written; the whole size when the reader has disconnected."""
        sent = 0
        with memoryview(data) as waiting:
            while sent < len(waiting):
                try:
                    sent += os.write(self._descriptor, waiting[sent:])
                except BlockingIOError:
                    return sent
                except OSError:
                    self._break()
                    return len(waiting)
        return sent

    def _expect_reading(self) -> None:
        """Restart the stall timeout, after progress or with the first pending output."""
        if self._stalled_seconds is not None:
            if self._stalling is not None:
                self._stalling.cancel()
            self._untaken = untaken(self._descriptor)
            self._stalling = self._loop.call_later(self._stalled_seconds, self._give_up)

    def _give_up(self) -> None:
        if untaken(self._descriptor) < self._untaken:
            self._expect_reading()
            return
        self._break()
        self._unsent.clear()
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
