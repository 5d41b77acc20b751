"""stdio: one JSON-RPC message per line on standard input and output, for the host that started the process.

Owns the two streams. While it runs, file descriptor 1 leads to stderr and 0 to nothing, so that no library and no
child process can write into the wire or read from it. Knows no method; messages are the peer's affair.
"""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread

from app.presentation.protocol.call import Facts
from app.presentation.protocol.faults import Fault, Kind, encode_fault
from app.presentation.protocol.revisions import LATEST_HANDSHAKE, Revision
from app.presentation.server import Server
from transports.lines import LineSplitter

_FACTS = Facts("stdio", local=True)
_GRACE_SECONDS = 0.5
_READ_BYTES = 256 * 1024
_UNSENT_BYTES = 8 * 1024 * 1024  # so much may wait for a client that writes more than it reads


@contextmanager
def private_streams() -> Iterator[tuple[int, int]]:
    """Take standard input and output for the wire and yield their new descriptors."""
    wire_in, wire_out = os.dup(0), os.dup(1)
    blocking = os.get_blocking(wire_in), os.get_blocking(wire_out)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    try:
        yield wire_in, wire_out
    finally:
        for descriptor, was_blocking in zip((wire_in, wire_out), blocking, strict=True):
            try:
                os.set_blocking(descriptor, was_blocking)
            except OSError:  # closed with its transport
                continue


class StdioConnection:
    """Serves one client on a pair of descriptors until the input ends, `shutdown`, or `stop`."""

    def __init__(self, server: Server, max_line_bytes: int) -> None:
        self._server = server
        self._peer = server.connect(on_closed=self.stop)
        self._max_line_bytes = max_line_bytes
        self._calls: set[asyncio.Task[None]] = set()
        self._ended = anyio.Event()
        self._output = _Output()

    async def serve(self, wire_in: int, wire_out: int) -> None:
        """Serve to the end: calls that run get a moment to finish, and every answer is flushed."""
        await self._output.open(wire_out)
        splitter = LineSplitter(self._max_line_bytes, self._receive, self._refuse_line)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._server.keep_house)
            tasks.start_soon(self._peer.announce, self._output)
            tasks.start_soon(self._read, wire_in, splitter)
            await self._ended.wait()
            tasks.cancel_scope.cancel()
        self._server.stop()
        await self._settle()
        await self._peer.end()
        await self._settle()
        await self._output.close()
        await self._server.close()

    def stop(self) -> None:
        """Come to the end soon."""
        self._ended.set()

    async def _read(self, wire_in: int, splitter: LineSplitter) -> None:
        async for chunk in _chunks(wire_in):
            splitter.feed(chunk)
            await self._output.ready()
        splitter.finish()
        self._ended.set()

    def _receive(self, line: bytes) -> None:
        task = asyncio.create_task(self._peer.receive(line, self._output, _FACTS))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _refuse_line(self) -> None:
        problem = f"A line is longer than {self._max_line_bytes} bytes (setting server.max_body_bytes)"
        self._output.write(encode_fault(Fault(Kind.TOO_LARGE, problem), None, LATEST_HANDSHAKE))

    async def _settle(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls, timeout=_GRACE_SECONDS)


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    """Yield what can be read, to the end of the input; a regular file is read in a thread."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        while chunk := await anyio.to_thread.run_sync(os.read, descriptor, _READ_BYTES):
            yield chunk
        return
    reader = asyncio.StreamReader(limit=_READ_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    try:
        while chunk := await reader.read(_READ_BYTES):
            yield chunk
    finally:
        transport.close()


class _Output(asyncio.Protocol):
    """Standard output as an outlet. Frames of one turn of the loop leave in one write."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._descriptor = -1
        self._frames: list[bytes] = []
        self._writable = anyio.Event()
        self._writable.set()
        self._closed = anyio.Event()

    async def open(self, descriptor: int) -> None:
        """Write to the descriptor from now on; a regular file is written to at once."""
        self._descriptor = descriptor
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        transport, _ = await self._loop.connect_write_pipe(lambda: self, os.fdopen(descriptor, "wb", 0))
        transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        self._transport = transport

    def write(self, frame: bytes) -> None:
        """Send a frame as a line."""
        if not self._frames:
            self._loop.call_soon(self._flush)
        self._frames.append(frame)

    async def ready(self) -> None:
        """Wait while the client reads too slowly."""
        await self._writable.wait()

    async def close(self) -> None:
        """Send what is left, for a moment at most, and close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()
            with anyio.move_on_after(_GRACE_SECONDS / 2):
                await self._closed.wait()

    def begin(self, revision: Revision) -> None:
        """All requests share the stream."""

    async def notify(self, frame: bytes) -> None:
        """Send a notification."""
        await self._writable.wait()
        self.write(frame)

    async def request(self, frame: bytes) -> None:
        """Send a request of the server's."""
        self.write(frame)

    async def release(self, retry_ms: int) -> None:
        """There is only one stream, and nothing to come back to."""

    async def reply(self, frame: bytes, kind: Kind | None, revision: Revision) -> None:
        """Send an answer."""
        self.write(frame)

    async def nothing(self) -> None:
        """A message without an answer leaves no trace."""

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._writable = anyio.Event()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._writable.set()

    def connection_lost(self, problem: Exception | None) -> None:
        """The client has closed its end, or all was sent after `close`."""
        self._writable.set()
        self._closed.set()

    def _flush(self) -> None:
        if not self._frames:
            return
        self._frames.append(b"")
        lines, self._frames = b"\n".join(self._frames), []
        if self._transport is not None:
            self._transport.write(lines)
            return
        waiting = memoryview(lines)
        while waiting:
            waiting = waiting[os.write(self._descriptor, waiting) :]
