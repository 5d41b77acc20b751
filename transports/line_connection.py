"""LineConnection: one client on a pair of file descriptors, one JSON-RPC message per line.

The framing of stdio, which the Unix socket shares. Knows no method; messages are the peer's affair.
"""

import asyncio
from collections.abc import Callable

import anyio

from app.presentation.protocol.call import Facts
from app.presentation.protocol.faults import Fault, Kind, encode_fault
from app.presentation.protocol.revisions import LATEST_HANDSHAKE
from app.presentation.server import Server
from transports.connection import Connection
from transports.descriptors import LineWriter, chunks
from transports.lines import LineSplitter

_GRACE_SECONDS = 0.5  # for calls that run when the input ends
_FLUSH_SECONDS = 0.25


class LineConnection:
    """Serves one client until the input ends, `shutdown`, or `end`.

    Args:
        server: what serves the messages.
        facts: where they come from.
        max_line_bytes: longer lines are refused.
        stalled_seconds: so long a client may take nothing of what waits for it; None for as long as it likes.
        on_end: called when the end has come, before calls that run get a moment to finish.
    """

    def __init__(
        self,
        server: Server,
        facts: Facts,
        max_line_bytes: int,
        stalled_seconds: float | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._server = server
        self._facts = facts
        self._max_line_bytes = max_line_bytes
        self._stalled_seconds = stalled_seconds
        self._on_end = on_end
        self._ended = anyio.Event()
        self.heard = False
        """Whether the client has ever said anything."""

    async def serve(self, wire_in: int, wire_out: int) -> None:
        """Serve to the end: calls that run get a moment to finish, and every answer is flushed."""
        writer = LineWriter(wire_out, self.end, self._stalled_seconds)
        connection = Connection(self._server, self._facts, writer.send, lambda _ending: self.end())
        try:
            async with connection.serving(_GRACE_SECONDS):
                reading = asyncio.create_task(self._read(wire_in, connection, writer))
                try:
                    await self._ended.wait()
                finally:
                    reading.cancel()
                    await asyncio.wait((reading,))  # the descriptor may be closed only when the loop has let go of it
                if self._on_end is not None:
                    self._on_end()
            await writer.flush(_FLUSH_SECONDS)
        finally:
            writer.close()

    def end(self) -> None:
        """Come to the end soon."""
        self._ended.set()

    async def _read(self, wire_in: int, connection: Connection, writer: LineWriter) -> None:
        def refuse() -> None:
            problem = f"A line is longer than {self._max_line_bytes} bytes (setting server.max_body_bytes)"
            writer.write(encode_fault(Fault(Kind.TOO_LARGE, problem), None, LATEST_HANDSHAKE))

        splitter = LineSplitter(self._max_line_bytes, connection.take, refuse)
        try:
            async for chunk in chunks(wire_in):
                self.heard = True
                splitter.feed(chunk)
                await connection.room()
            splitter.finish()
        except OSError:
            pass  # the descriptor is of no use any more
        finally:
            self.end()
