"""stdio: one JSON-RPC message per line on standard input and output, for the host that started the process.

Owns the two streams. While it runs, file descriptor 1 leads to stderr and 0 to nothing, so that no library and no
child process can write into the wire or read from it. Knows no method; messages are the peer's affair.
"""

import asyncio

import anyio

from app.presentation.protocol.call import Facts
from app.presentation.protocol.faults import Fault, Kind, encode_fault
from app.presentation.protocol.revisions import LATEST_HANDSHAKE, Revision
from app.presentation.server import Server
from transports.descriptors import LineWriter, chunks
from transports.lines import LineSplitter

_FACTS = Facts("stdio", local=True)
_GRACE_SECONDS = 0.5


class StdioConnection:
    """Serves one client on a pair of descriptors until the input ends, `shutdown`, or `stop`."""

    def __init__(self, server: Server, max_line_bytes: int) -> None:
        self._server = server
        self._peer = server.connect(on_closed=self.stop)
        self._max_line_bytes = max_line_bytes
        self._calls: set[asyncio.Task[None]] = set()
        self._ended = anyio.Event()

    async def serve(self, wire_in: int, wire_out: int) -> None:
        """Serve to the end: calls that run get a moment to finish, and every answer is flushed."""
        output = _Output(LineWriter(wire_out, on_broken=self.stop))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._server.keep_house)
            tasks.start_soon(self._peer.announce, output)
            tasks.start_soon(self._read, wire_in, output)
            await self._ended.wait()
            tasks.cancel_scope.cancel()
        self._server.stop()
        await self._settle()
        await self._peer.end()
        await self._settle()
        await output.writer.flush(_GRACE_SECONDS / 2)
        await self._server.close()

    def stop(self) -> None:
        """Come to the end soon."""
        self._ended.set()

    async def _read(self, wire_in: int, output: "_Output") -> None:
        def receive(line: bytes) -> None:
            task = asyncio.create_task(self._peer.receive(line, output, _FACTS))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

        def refuse() -> None:
            problem = f"A line is longer than {self._max_line_bytes} bytes (setting server.max_body_bytes)"
            output.writer.write(encode_fault(Fault(Kind.TOO_LARGE, problem), None, LATEST_HANDSHAKE))

        splitter = LineSplitter(self._max_line_bytes, receive, refuse)
        async for chunk in chunks(wire_in):
            splitter.feed(chunk)
            await output.writer.room()
        splitter.finish()
        self._ended.set()

    async def _settle(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls, timeout=_GRACE_SECONDS)


class _Output:
    """Standard output as an outlet."""

    def __init__(self, writer: LineWriter) -> None:
        self.writer = writer

    def begin(self, revision: Revision) -> None:
        """All requests share the stream."""

    async def hold(self) -> None:
        """The stream lasts as long as the process."""

    async def notify(self, frame: bytes) -> None:
        """Send a notification."""
        await self.writer.room()
        self.writer.write(frame)

    async def request(self, frame: bytes) -> None:
        """Send a request of the server's."""
        self.writer.write(frame)

    async def release(self, retry_ms: int) -> None:
        """There is only one stream, and nothing to come back to."""

    async def reply(self, frame: bytes, kind: Kind | None, revision: Revision) -> None:
        """Send an answer."""
        self.writer.write(frame)

    async def nothing(self) -> None:
        """A message without an answer leaves no trace."""
