"""uvicorn's WebSocket protocol with the limits that uvicorn lacks.

Closes the connection of a client that sends too many control frames, messages in too many fragments, or messages that
stay incomplete; the close code (1008, 1013) and the reason say why. Knows no JSON-RPC message.
"""

import logging
from asyncio import BaseTransport
from collections.abc import Callable
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from tfo_mcp_transports.network.connection_state import losing_state
from tfo_mcp_transports.network.uvicorn_protocols.responses import BAD_REQUEST
from tfo_mcp_transports.network.uvicorn_protocols.transport import GatheringTransport, Hold

_CLOSING_SECONDS = 2.0  # maximum time for the client's close frame
_CONTROL_FRAMES = 100  # burst, refilled at
_CONTROL_FRAMES_A_SECOND = 20
_FRAGMENTS = 1000  # of one message
_EMPTY_FRAGMENTS = 16  # of one message
_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
_TRY_AGAIN_LATER = 1013  # its registry
_quiet = logging.getLogger("uvicorn.websocket")
_quiet.setLevel(logging.WARNING)
_quiet.addFilter(lambda record: not str(record.msg).startswith("Invalid UTF-8"))  # a client's fault, closed with 1007


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with limits; it takes over a connection and its transport from `LimitedHttp`."""

    transport: GatheringTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_lost: list[Callable[[], None]] = []
        self.app_state = {**self.app_state, **losing_state(self._on_lost)}
        self.close_timeout = _CLOSING_SECONDS
        self.logger = self.conn.logger = _quiet  # its line for each connection contains the query string
        self._control_left = float(_CONTROL_FRAMES)
        self._control_at = self.loop.time()
        self._fragments = 0
        self._empty_fragments = 0
        self._fragment_bytes = 0
        self._in_message = False

    def connection_made(self, transport: BaseTransport) -> None:
        """Take over the connection from HTTP."""
        super().connection_made(transport)
        self.transport = cast(GatheringTransport, transport)
        self.transport.serve(self._feed, self._too_much)

    def data_received(self, data: bytes) -> None:
        """Pass received bytes on; after the handshake request, pause reading until it is answered."""
        if self.handshake_initiated:
            self.transport.received(data)
            return
        super().data_received(data)
        if not self.handshake_complete:
            self.transport.hold(Hold.HANDSHAKE)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(BAD_REQUEST)
            self.transport.close()

    def _feed(self, piece: bytes) -> None:
        if self.conn.parser_exc is None:
            super().data_received(piece)
            self._look_at_message()

    def _look_at_message(self) -> None:
        """Count the bytes of an incomplete message, and start or stop its deadline."""
        arrived = len(self.conn.reader.buffer)
        in_message = not self.close_sent and (arrived > 0 or bool(self.frames))
        if in_message is not self._in_message:
            self._in_message = in_message
            if in_message:
                self.transport.limits.messages.start(self._too_slow)
            else:
                self.transport.limits.messages.stop(self._too_slow)
        self.transport.keep(arrived + self._fragment_bytes if in_message else 0)

    def handle_text(self, event: Frame) -> None:
        """Handle a text message or its first fragment."""
        self._begin_message(event)
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Handle a binary message or its first fragment."""
        self._begin_message(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Handle a further fragment of a message; fail the connection when there are too many."""
        self._fragments += 1
        self._empty_fragments += not event.data
        self._fragment_bytes += len(event.data)
        if self._fragments > _FRAGMENTS or self._empty_fragments > _EMPTY_FRAGMENTS:
            self._fail(_POLICY_VIOLATION, "A message has too many fragments")
        elif not self.close_sent:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping; fail the connection when there are too many."""
        if self._may_send_control():
            super().handle_ping()
        elif self.close_sent:
            self.conn.data_to_send()  # drops the pong, which cannot be sent any more

    def handle_pong(self, event: Frame) -> None:
        """Handle a pong; fail the connection when there are too many."""
        if self._may_send_control():
            super().handle_pong(event)

    def _begin_message(self, event: Frame) -> None:
        self._fragments, self._empty_fragments = 1, int(not event.data and not event.fin)
        self._fragment_bytes = len(event.data)

    def _may_send_control(self) -> bool:
        """Count a control frame against the rate limit; fail the connection and return False above it."""
        if self.close_sent:
            return False
        now = self.loop.time()
        self._control_left += (now - self._control_at) * _CONTROL_FRAMES_A_SECOND
        self._control_left = min(self._control_left, _CONTROL_FRAMES) - 1.0
        self._control_at = now
        if self._control_left < 0.0:
            self._fail(_POLICY_VIOLATION, "Too many control frames")
            return False
        return True

    def _forget_message(self) -> None:
        """Free the bytes of an incomplete message: reference cycles in the libraries keep this object alive."""
        self.frames.clear()
        self.conn.reader.buffer.clear()

    def _too_slow(self) -> None:
        if self.transport.held:
            self.transport.limits.messages.start(self._too_slow)
        else:
            self._fail(_POLICY_VIOLATION, "A message took too long to arrive")

    def _too_much(self) -> None:
        self._fail(_TRY_AGAIN_LATER, "Too much is being received from your network")

    def _fail(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        if not self.handshake_complete:
            self.transport.abort()
            return
        self.conn.fail(code, reason)
        self._forget_message()
        self.handle_parser_exception()

    def pause_writing(self) -> None:
        """Start the stall timeout and pause reading: the write buffer is above its limit."""
        super().pause_writing()
        self.transport.expect_taking()
        self.transport.hold(Hold.WRITING)

    def resume_writing(self) -> None:
        """Stop the stall timeout and resume reading: the client has received most of the output."""
        super().resume_writing()
        self.transport.taken()
        self.transport.release(Hold.WRITING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that the connection holds, and call the callbacks registered for its end."""
        self.transport.limits.messages.stop(self._too_slow)
        super().connection_lost(exc)
        self._forget_message()
        self.conn.parser.close()  # it refers to the last frame
        self.transport.lose()
        for act in self._on_lost:
            act()
        self._on_lost.clear()

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message, and wait until the client has received most of it.

        After an HTTP response to the handshake, `handshake_complete` is set here: uvicorn would report a handshake
        that was never answered.

        Raises:
            ClientDisconnected: the connection has ended; uvicorn alone would report an error of the application.
        """
        await self.writable.wait()
        if self.handshake_complete and self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True
        if self.handshake_complete:
            self.transport.release(Hold.HANDSHAKE)
        await self.writable.wait()

    def shutdown(self) -> None:
        """Close the connection during its handshake only; the application closes open ones when calls are done."""
        if not self.handshake_complete:
            super().shutdown()

    def handle_parser_exception(self) -> None:
        """Send the close frame, then linger and discard input: an immediate close could lose the frame."""
        closed = self.conn.close_sent
        assert closed is not None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason})
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.unread = True
        self.transport.close()
