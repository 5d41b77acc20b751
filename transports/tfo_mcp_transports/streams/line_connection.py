"""LineConnection: one client on a pair of file descriptors, one JSON-RPC message per line.

Owns the framing of stdio, which the Unix socket shares. The peer handles the messages; this module knows no method.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import anyio

from tfo_mcp.presentation.jsonrpc import id_of_unread
from tfo_mcp.presentation.protocol.call import Facts
from tfo_mcp.presentation.protocol.faults import Fault, Kind, encode_fault
from tfo_mcp.presentation.server import Server
from tfo_mcp_transports.connection import Connection
from tfo_mcp_transports.descriptors import LineWriter, Rest, has_left, read_chunks
from tfo_mcp_transports.loop_turns import loop_turns
from tfo_mcp_transports.streams.lines import LineSplitter

_GRACE_SECONDS = 0.5  # for calls in flight when the input ends
_FLUSH_SECONDS = 0.25
_PIECE_BYTES = 16 * 1024  # scanned for newlines in one turn of the loop
_LOOK_SECONDS = 0.5  # between two checks for a disconnect while nothing is read


class LineConnection:
    """Serves one client until the input ends, the client sends `shutdown`, or `end` is called.

    Args:
        server: serves the messages.
        facts: the caller and the transport.
        max_line_bytes: longer lines are refused.
        stalled_seconds: maximum time in which the client reads none of its pending output; None for no limit.
        on_end: called at the end, before the calls in flight are drained.
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
        """Whether the client has sent anything yet."""

    async def serve(self, descriptor_in: int, descriptor_out: int) -> None:
        """Serve the client to the end; then drain the calls in flight and flush the output, both for a bounded time."""
        writer = LineWriter(descriptor_out, self.end, self._stalled_seconds)
        connection = Connection(self._server, self._facts, writer.send, lambda _ending: self.end())
        try:
            async with connection.serving(_GRACE_SECONDS):
                reading = asyncio.create_task(self._read(descriptor_in, descriptor_out, connection, writer))
                try:
                    await self._ended.wait()
                finally:
                    reading.cancel()
                    await asyncio.wait((reading,))  # the loop must stop watching the descriptor before it is closed
                if self._on_end is not None:
                    self._on_end()
            await writer.flush(_FLUSH_SECONDS)
        finally:
            writer.close()

    def end(self) -> None:
        """Request the end of the connection."""
        self._ended.set()

    async def _read(self, descriptor_in: int, descriptor_out: int, connection: Connection, writer: LineWriter) -> None:
        def refuse(beginning: bytes, end: bytes | None) -> bool:
            identifier = id_of_unread(beginning, end or b"")
            if identifier is None and end is None:
                return False  # the id may be at the end
            problem = f"A line is longer than {self._max_line_bytes} bytes (setting server.max_body_bytes)"
            writer.write(encode_fault(Fault(Kind.TOO_LARGE, problem), identifier))
            return True

        splitter = LineSplitter(self._max_line_bytes, refuse)

        def take(chunk: bytes) -> Rest | None:
            self.heard = True
            lines, rest = splitter.feed(chunk[:_PIECE_BYTES]), chunk[_PIECE_BYTES:]
            if _take_until_full(lines, connection) and not rest:
                return None
            return partial(take_rest, lines, rest)

        async def take_rest(lines: Iterator[bytes], rest: bytes) -> bool:
            """Take lines when there is room, in turn with other clients; return False if the client disconnects."""
            while True:
                while not _take_until_full(lines, connection):
                    if not await self._has_room(connection, descriptor_out):
                        return False
                if not rest:
                    return True
                await loop_turns().wait(self._facts.account)
                lines, rest = splitter.feed(rest[:_PIECE_BYTES]), rest[_PIECE_BYTES:]

        try:
            await read_chunks(descriptor_in, take)
            for line in splitter.finish():
                connection.take(line)
        except OSError:
            pass  # the descriptor cannot be read any more
        finally:
            self.end()

    async def _has_room(self, connection: Connection, descriptor_out: int) -> bool:
        """Wait for room; return False when the client disconnects meanwhile."""
        while True:
            with anyio.move_on_after(_LOOK_SECONDS):
                await connection.room()
                return True
            if has_left(descriptor_out):
                return False


def _take_until_full(lines: Iterator[bytes], connection: Connection) -> bool:
    """Take lines until the connection is full; return whether all were taken and there is room."""
    for line in lines:
        connection.take(line)
        if connection.is_full:
            return False
    return True
