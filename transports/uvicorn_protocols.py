"""uvicorn's protocols for HTTP and WebSocket, with the limits that uvicorn lacks.

A client that sends nothing, its request too slowly, or too many headers, loses its connection; so does one that takes
nothing of what is there for it. Every answer leaves in one write. Knows nothing of what is asked.
"""

import logging
from asyncio import BaseProtocol, BaseTransport, Transport, get_running_loop
from time import monotonic
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from transports.descriptors import untaken
from transports.patience import Patience, keep_looking

_HEAD_SECONDS = 5.0  # so long the head of a request may take to arrive
_BODY_SECONDS = 15.0  # and its body
_LOOK_SECONDS = 0.5  # between two looks at what a client has taken
_STALLED_SECONDS = 10.0  # so long a client may leave unread what is there for it
_STALLED_AT_THE_END_SECONDS = 2.0
_CLOSING_SECONDS = 2.0  # so long a WebSocket client may take to confirm that the connection ends
_quiet = logging.getLogger("uvicorn.websocket")
_quiet.setLevel(logging.WARNING)

_HEAD_BYTES = 64 * 1024
_GATHERED_BYTES = 64 * 1024
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b"
)
_TOO_MANY_WORDS = b"Too many connections are open (setting server.max_connections)\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Limits:
    """How long connections may take for what, and how many there may be."""

    def __init__(self, max_connections: int) -> None:
        self.max_connections = max_connections
        self.connections = 0
        self.heads = Patience(_HEAD_SECONDS)
        self.bodies = Patience(_BODY_SECONDS)
        self.looking = Patience(_LOOK_SECONDS)
        self.stalled_seconds = _STALLED_SECONDS
        self.ending = False
        """Whether connections end with their answers."""

    def hurry(self) -> None:
        """Have less patience with clients that take nothing: the server wants to end."""
        self.stalled_seconds = _STALLED_AT_THE_END_SECONDS
        self.ending = True

    async def keep(self) -> None:
        """End the connections that take too long, until cancelled."""
        await keep_looking(self.heads, self.bodies, self.looking)


class _Gathering(Transport):
    """A transport that sends what is written in one turn of the loop at once: an answer's head and body together.

    While more is there for the client than it takes, it is aborted as soon as nothing at all is taken for a while.
    """

    def __init__(self, transport: Transport, limits: Limits) -> None:
        super().__init__()
        self._transport = transport
        self._limits = limits
        limits.connections += 1
        self._waiting = 0
        self._progress = 0.0
        self._lost = False
        self._loop = get_running_loop()
        self._parts: list[bytes] = []
        self._gathered = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def set_protocol(self, protocol: BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))
        self._gathered += len(data)
        if self._gathered > _GATHERED_BYTES:  # the writer has to learn at once when it is too much
            self._flush()

    def write_eof(self) -> None:
        self._flush()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()
        if not self._lost:
            self.expect_taking()

    def abort(self) -> None:
        self._parts.clear()
        self._transport.abort()

    def expect_taking(self) -> None:
        """From now on the client has to take something again and again, until `taken`."""
        self._waiting = self._untaken()
        self._progress = monotonic()
        self._limits.looking.start(self._look)

    def lose(self) -> None:
        """Nobody is there any more."""
        if not self._lost:
            self._limits.connections -= 1
        self._lost = True
        self.taken()

    def taken(self) -> None:
        """Nothing is waiting any more."""
        self._limits.looking.stop(self._look)

    def _look(self) -> None:
        untaken, now = self._untaken(), monotonic()
        if untaken < self._waiting:
            self._waiting, self._progress = untaken, now
        if now - self._progress < self._limits.stalled_seconds:
            self._limits.looking.start(self._look)
        else:
            self.abort()

    def _untaken(self) -> int:
        socket = self._transport.get_extra_info("socket")
        return self._transport.get_write_buffer_size() + (untaken(socket.fileno()) if socket is not None else 0)

    def _flush(self) -> None:
        if self._parts and not self._transport.is_closing():
            self._transport.write(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
        self._parts.clear()
        self._gathered = 0


def limited_http(limits: Limits) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol with limits."""
    heads, bodies = limits.heads, limits.bodies

    class LimitedHttp(HttpToolsProtocol):
        transport: _Gathering

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._in_head = True
            self._head_bytes = 0
            self._running: list[RequestResponseCycle] = []

        def connection_made(self, transport: BaseTransport) -> None:
            heads.start(self._too_slow)
            super().connection_made(_Gathering(cast(Transport, transport), limits))
            if limits.connections > limits.max_connections:
                self._refuse(_TOO_MANY % (len(_TOO_MANY_WORDS), _TOO_MANY_WORDS))

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._in_head and self._head_bytes > _HEAD_BYTES:
                self._refuse(_TOO_LARGE)

        def on_message_begin(self) -> None:
            self._in_head = True
            self._head_bytes = 0
            heads.start(self._too_slow)
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            heads.stop(self._too_slow)
            bodies.start(self._too_slow)
            before = self.cycle
            super().on_headers_complete()
            if limits.ending and self.cycle is not before:
                self.cycle.keep_alive = False
            if self._running and self._running[0].response_complete:
                self._running = [cycle for cycle in self._running if not cycle.response_complete]
            if self.cycle is not before:
                self._running.append(self.cycle)

        def on_message_complete(self) -> None:
            bodies.stop(self._too_slow)
            super().on_message_complete()

        def handle_websocket_upgrade(self) -> None:
            self._stop_waiting()
            if any(not cycle.response_complete for cycle in self._running):
                self._refuse(_BAD)  # the answers that are still to come would end up in the WebSocket
            else:
                super().handle_websocket_upgrade()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.transport.expect_taking()

        def resume_writing(self) -> None:
            super().resume_writing()
            self.transport.taken()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)
            self.transport.lose()
            for cycle in self._running:  # uvicorn tells the newest only, not one that others are pipelined behind
                if not cycle.response_complete:
                    cycle.disconnected = True
                    cycle.message_event.set()

        def _stop_waiting(self) -> None:
            heads.stop(self._too_slow)
            bodies.stop(self._too_slow)

        def _too_slow(self) -> None:
            self._refuse(_TOO_SLOW)

        def _refuse(self, answer: bytes) -> None:
            self._stop_waiting()
            if not self.transport.is_closing():
                self.transport.write(answer)
                self.transport.close()

    return LimitedHttp


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol on the transport of `limited_http`, which a connection begins with."""

    transport: _Gathering

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = _CLOSING_SECONDS
        self.logger = self.conn.logger = _quiet  # what it says of every connection holds the query string

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless what came before was no WebSocket's."""
        if self.conn.parser_exc is None:
            super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(_BAD)
            self.transport.close()

    def pause_writing(self) -> None:
        """More is there than the client has taken."""
        super().pause_writing()
        self.transport.expect_taking()

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        super().resume_writing()
        self.transport.taken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        super().connection_lost(exc)
        self.transport.lose()

    async def send(self, message: ASGISendEvent) -> None:
        """Send; uvicorn takes an HTTP answer instead of the handshake for a handshake that never came."""
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True

    def shutdown(self) -> None:
        """Leave it to the application, which knows what is still being served, to close a connection that stands."""
        if not self.handshake_complete:
            super().shutdown()

    def handle_parser_exception(self) -> None:
        """Say what was wrong and drop what still comes for a moment: to hang up at once would lose the word."""
        closed = self.conn.close_sent
        assert closed is not None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason})
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
