"""The transport between uvicorn's protocols and the event loop's transport: backpressure, deadlines and fairness.

The writes of one turn of the loop are sent together. Large reads are fed to the protocol in pieces, spread over turns
of the loop (`LoopTurns`). While reading is paused, a periodic check detects that a client has disconnected. Knows no
HTTP.
"""

from asyncio import BaseProtocol, Transport, get_running_loop
from collections.abc import Callable
from time import monotonic
from typing import Any

from tfo_mcp_transports.descriptors import has_input, has_left, untaken
from tfo_mcp_transports.loop_turns import loop_turns
from tfo_mcp_transports.network.uvicorn_protocols.connections import TablePlace
from tfo_mcp_transports.network.uvicorn_protocols.limits import ConnectionLimits
from tfo_mcp_transports.pending_output import ReaderProgress, TurnBuffer

_PIECE_BYTES = 4096
_PIECE_HEADS = 8  # request heads in one piece
_COPIED_BYTES = 64 * 1024  # of output that are joined; joining more would cost more than separate buffers
_LINGER_BYTES = 16 * 1024 * 1024  # that a client may still send after its response
_END_OF_HEAD = b"\r\n\r\n"
_FEED_SECONDS = 0.001  # in one turn of the loop, for one connection


class Hold:
    """Reasons to pause reading, as bits, since an `IntFlag` would cost a microsecond for each request."""

    PROTOCOL = 1
    """uvicorn has paused it: a request waits, or the application does not read its body."""
    PIPELINE = 2
    """Too many pipelined requests wait."""
    WRITING = 4
    """The client does not read its pending output."""
    HANDSHAKE = 8
    """The WebSocket handshake is not answered yet."""


class GatheringTransport(Transport):
    """One connection's transport.

    Args:
        transport: the event loop's.
        limits: the server's.
    """

    place: TablePlace

    def __init__(self, transport: Transport, limits: ConnectionLimits) -> None:
        super().__init__()
        self._transport = transport
        self.limits = limits
        socket = transport.get_extra_info("socket")
        # no buffer counts as taken: while the system lacks the end of a write, all of it is kept
        transport.set_write_buffer_limits(high=0)
        self._descriptor: int = -1 if socket is None else socket.fileno()
        peer = transport.get_extra_info("peername")
        self.address: str | None = peer[0] if isinstance(peer, tuple) else None
        self._loop = get_running_loop()
        self._feed: Callable[[bytes], None]
        self._refuse: Callable[[], None]
        self._body_left: Callable[[], int]
        self._rest, self._at = b"", 0
        self._scheduled = False
        self._held = 0
        self._reading = True
        self._unfinished = 0
        self._kept = 0
        self.unread = False
        """Whether more of a message is expected: then `close` lingers while the client sends it."""
        self._closing = False
        self._dropped = 0
        self._progress = ReaderProgress(self._untaken)
        self._output = TurnBuffer(self._loop, self._send)

    # Reading

    def serve(
        self, feed: Callable[[bytes], None], refuse: Callable[[], None], body_left: Callable[[], int] = int
    ) -> None:
        """Set the protocol's callbacks.

        Args:
            feed: takes the next piece of the input.
            refuse: ends the connection when the bytes of unfinished messages exceed their limit.
            body_left: returns how many of the next bytes belong to a body, which is fed in pieces of any size.
        """
        self._feed = feed
        self._refuse = refuse
        self._body_left = body_left

    @property
    def held(self) -> bool:
        """Whether reading waits for the server and not for the client."""
        return bool(self._held or self._rest)

    def received(self, data: bytes) -> None:
        """Feed received bytes to the protocol: a small amount at once, a large one in pieces."""
        if self._closing:
            self._dropped += len(data)
            if self._dropped > _LINGER_BYTES:
                self._hang_up()
            return
        if (
            self._rest
            or self._held
            or not (
                data.count(_END_OF_HEAD) <= _PIECE_HEADS
                if len(data) <= _PIECE_BYTES
                else len(data) <= self._body_left()
            )
        ):
            self._rest, self._at = self._rest[self._at :] + data, 0
            self._stop_reading()
            self._schedule()
            self._count()
        else:
            self._feed(data)

    def give_back(self, data: bytes) -> None:
        """Return the unused end of a piece, to be fed to the protocol that takes over the connection."""
        self._rest, self._at = data + self._rest[self._at :], 0
        self._stop_reading()
        self._schedule()

    def keep(self, unfinished: int) -> None:
        """Set the number of bytes of the unfinished message; refuse it above the limit of its network."""
        if unfinished != self._unfinished:
            self._unfinished = unfinished
            self._count()

    def _count(self) -> None:
        before, self._kept = self._kept, self._unfinished + len(self._rest) - self._at
        network = self.place.network
        if not self.limits.unfinished.change(network.name, before, self._kept, limited=network.limited):
            self._refuse()

    def hold(self, reason: int) -> None:
        """Pause reading for a reason (a bit of `Hold`) until `release`."""
        if not self._held:
            self._stop_reading()
            self.limits.looking.start(self._look_for_leaving)
        self._held |= reason

    def release(self, reason: int) -> None:
        """Remove a reason to pause, and resume reading if no other is left."""
        if self._held & reason:
            self._held &= ~reason
            if not self._held:
                self.limits.looking.stop(self._look_for_leaving)
                self._go_on()

    def pause_reading(self) -> None:
        """Pause reading until `resume_reading`."""
        self.hold(Hold.PROTOCOL)

    def resume_reading(self) -> None:
        """Resume reading if no other reason to pause is left."""
        self.release(Hold.PROTOCOL)

    def has_input(self) -> bool:
        """Return whether received bytes are not fed to the protocol yet."""
        return bool(self._rest) or has_input(self._descriptor)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if self._rest:
            self._schedule()
        elif not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _schedule(self) -> None:
        if self._rest and not self._held and not self._scheduled:
            self._scheduled = True
            loop_turns().run_later(self.place.network.name, self._feed_some)

    def _feed_some(self) -> None:
        """Feed pieces until the time slice ends, no input is left, or reading is paused."""
        self._scheduled = False
        ends = monotonic() + _FEED_SECONDS
        while self._rest and not self._held and not self._closing:
            body_left = self._body_left()
            end = self._at + body_left if body_left else _piece(self._rest, self._at)
            piece = self._rest[self._at : end]
            self._at = end
            if end >= len(self._rest):
                self._rest, self._at = b"", 0
            self._feed(piece)
            if monotonic() >= ends:
                break
        if not self._closing:
            self._count()
            if not self._held:
                self._go_on()

    def _look_for_leaving(self) -> None:
        if has_left(self._descriptor, ends_with_sending=True):
            self.abort()
        else:
            self.limits.looking.start(self._look_for_leaving)

    # Writing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the information of the event loop's transport."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._closing or self._transport.is_closing()

    def set_protocol(self, protocol: BaseProtocol) -> None:
        """Deliver the events of the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at the end of this turn of the loop."""
        if not self._closing:
            self._output.add(bytes(data))

    def write_eof(self) -> None:
        """Shut down the sending side after the pending output."""
        self._output.flush()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close the connection after the pending output is flushed.

        While the client still sends, only the sending side is shut down at first: a full close would reset the
        connection, and the client's system would drop the response (RFC 9112, 9.6).
        """
        if self._closing:
            return
        self._drop_input()
        if self.unread:
            self.write_eof()
            self._reading = True
            self._transport.resume_reading()
            self.limits.lingering.start(self._hang_up)
        else:
            self._hang_up()
        self.expect_taking()
        self.limits.table.answered(self)

    def abort(self) -> None:
        """Close the connection at once, and drop the pending output."""
        self._drop_input()
        self._output.clear()
        self._transport.abort()

    def expect_taking(self) -> None:
        """Start the stall timeout: until `taken`, the client must keep reading its pending output."""
        self._progress.begin()
        self.limits.looking.start(self._look)

    def taken(self) -> None:
        """Stop the stall timeout."""
        self.limits.looking.stop(self._look)

    def lose(self) -> None:
        """Stop all timeouts and counts of a connection that has ended."""
        self._drop_input()
        self.taken()
        self.limits.looking.stop(self._look_for_leaving)
        self.limits.lingering.stop(self._hang_up)
        self.limits.table.leave(self)

    def _drop_input(self) -> None:
        self._closing = True
        self._rest, self._at, self._unfinished = b"", 0, 0
        self._count()

    def _hang_up(self) -> None:
        self._output.flush()
        self._transport.close()

    def _look(self) -> None:
        if self._progress.stalled_seconds() < self.limits.stalled_seconds:
            self.limits.looking.start(self._look)
        else:
            self.abort()

    def _untaken(self) -> int:
        return self._transport.get_write_buffer_size() + untaken(self._descriptor)

    def _send(self, parts: list[bytes], size: int) -> None:
        if self._transport.is_closing():
            return
        if size > _COPIED_BYTES:
            self._transport.writelines(parts)
        else:
            self._transport.write(b"".join(parts))


def _piece(data: bytes, start: int) -> int:
    """Return the end of the piece that begins at `start`, limited in bytes and in request heads."""
    latest = start + _PIECE_BYTES
    end = start
    for _ in range(_PIECE_HEADS):
        found = data.find(_END_OF_HEAD, end, latest)
        if found < 0:
            return latest
        end = found + len(_END_OF_HEAD)
    return end
