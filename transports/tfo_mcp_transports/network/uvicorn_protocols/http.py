"""uvicorn's HTTP protocol with the limits that uvicorn lacks.

Counts every byte of a request: the head, the body, and the overhead (chunk sizes and extensions, trailers). Refuses a
client that sends nothing, too slowly or too much. Knows the paths of the health probes and no other path.
"""

from asyncio import BaseTransport, Event, Transport
from functools import lru_cache
from typing import Any, ClassVar, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, parse_url
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tfo_mcp_transports.network.connection_state import reserved_state
from tfo_mcp_transports.network.deadlines import Deadlines
from tfo_mcp_transports.network.uvicorn_protocols import responses
from tfo_mcp_transports.network.uvicorn_protocols.connections import Standing
from tfo_mcp_transports.network.uvicorn_protocols.cycle import Cycle
from tfo_mcp_transports.network.uvicorn_protocols.limits import ConnectionLimits
from tfo_mcp_transports.network.uvicorn_protocols.transport import GatheringTransport, Hold

_REGULAR = Standing.REGULAR
_PROBES = frozenset({"/healthz", "/healthz/", "/readyz", "/readyz/"})
_API_KEY = b"x-api-key"
_WITH_BEARER = frozenset({b"authorization", b"sec-websocket-protocol"})
_HEAD_BYTES = 64 * 1024
_HEAD_FIELDS = 256
_TARGET_BYTES = 16 * 1024
_OVERHEAD_BYTES = 64 * 1024  # allowed in a message besides its head and its body,
_OVERHEAD_PER_BYTE = 8  # plus this number for each byte of its body
_UNREAD_BYTES = 256 * 1024  # of a request that still arrive after an early response
_LONGEST_KEPT = 128  # bytes of a target that is parsed once
_PIPELINED = 8  # waiting requests, above which reading stops


class _Refused(HttpParserError):
    """A request cannot be served; `answer` is the complete error response."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class LimitedHttp(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits, which `limited_http` sets."""

    limits: ClassVar[ConnectionLimits]
    transport: GatheringTransport
    cycle: Cycle

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._in_message = False
        self._received = 0  # bytes of the head while in it, then of what follows
        self._body_bytes = 0
        self._length: int | None = None
        self._running: list[Cycle] = []
        self._awaiting: Deadlines | None = None
        """The deadline that runs: of the head or of the rest of a message."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Count the connection, and refuse it if no place is left."""
        wrapped = GatheringTransport(cast(Transport, transport), self.limits)
        wrapped.serve(self._feed, self._too_much, self._body_left)
        standing = self.limits.table.enter(wrapped)
        self._await(self.limits.heads if standing is Standing.REGULAR else self.limits.reserve_heads)
        super().connection_made(wrapped)
        if standing is Standing.LEAVING:
            self._refuse(responses.TOO_MANY)

    def data_received(self, data: bytes) -> None:
        """Pass received bytes to the transport, which paces them."""
        self.transport.received(data)

    def _feed(self, piece: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(piece)
        except HttpParserUpgrade as upgrade:
            self._upgrade(piece[upgrade.args[0] :])
        except HttpParserError as problem:
            cause = problem if isinstance(problem, _Refused) else problem.__context__
            self._refuse(cause.answer if isinstance(cause, _Refused) else responses.MALFORMED)
        else:
            if self._in_message:
                self._check_bytes(len(piece))
            if self._awaiting is None and self._in_message and not self.transport.is_closing():
                self._await(self.limits.heads if self._in_head else self.limits.messages)

    def _await(self, deadline: Deadlines) -> None:
        """Start the deadline of the part of a message that is arriving."""
        self._awaiting = deadline
        deadline.start(self._too_slow)

    def _check_bytes(self, received: int) -> None:
        """Enforce the size limits on a message that is still arriving."""
        self._received += received
        if self._in_head:
            if self._received > _HEAD_BYTES + _OVERHEAD_BYTES or len(self.headers) > _HEAD_FIELDS:
                self._refuse(responses.TOO_LARGE)
            return
        self.headers.clear()  # trailers
        if self._received - self._body_bytes > _OVERHEAD_BYTES + _OVERHEAD_PER_BYTE * self._body_bytes:
            self._refuse(responses.OVERHEAD)
        elif not self.cycle.response_complete:
            self.transport.keep(self._body_bytes)
        else:
            self.transport.keep(0)  # uvicorn discards it, so that it takes no memory
            if self._received > _UNREAD_BYTES:
                self.transport.close()

    def _body_left(self) -> int:
        """Return how many bytes of a body with Content-Length are outstanding."""
        if self._in_head or not self._in_message or self.cycle is None:
            return 0
        if self._length is None:
            length = dict(self.cycle.scope["headers"]).get(b"content-length", b"0")
            self._length = int(length) if length.isdigit() else 0
        return max(0, self._length - self._body_bytes)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """Begin a new request, whose deadline starts if it has not arrived with this piece."""
        self._in_head = self._in_message = self.transport.unread = True
        self._received = self._body_bytes = 0
        self._length = None
        if self.transport.place.standing is _REGULAR:
            self.limits.table.busy(self.transport)
            self._stop_awaiting()
        HttpToolsProtocol.on_message_begin(self)  # `super()` would create an object for each request

    def on_headers_complete(self) -> None:
        """Check the complete head, and begin the cycle of the request."""
        if self._received or len(self.headers) > _HEAD_FIELDS:
            self._check_head()
        self._in_head = False
        self._received = 0
        self._stop_awaiting()
        in_reserve = self.transport.place.standing is not _REGULAR
        if in_reserve:
            self._enter_reserve()
        if self.parser.should_upgrade() and self._should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self._check_upgrade()
            return
        self._begin_cycle()
        if self._running and self._running[0].response_complete:
            self._running = [cycle for cycle in self._running if not cycle.response_complete]
        self._running.append(self.cycle)
        if (
            self.limits.ending
            or self.expect_100_continue  # after an early response, the client may or may not send the body
            or in_reserve
        ):
            self.cycle.keep_alive = False
        self.headers = []  # collects the trailers, which are dropped
        if len(self.pipeline) >= _PIPELINED:
            self.transport.hold(Hold.PIPELINE)

    def _begin_cycle(self) -> None:
        """Start the application for a request whose head is complete; behind another request, it waits."""
        scope, parser = self.scope, self.parser
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        url = self.url
        path, raw_path, query = _kept_target(url) if len(url) <= _LONGEST_KEPT else _target(url)
        scope["path"], scope["raw_path"], scope["query_string"] = path, raw_path, query
        before = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _check_head(self) -> None:
        if len(self.headers) > _HEAD_FIELDS:
            raise _Refused(responses.TOO_LARGE)
        if self._received:  # more than one piece
            if len(self.url) > _TARGET_BYTES:
                raise _Refused(responses.LONG_TARGET)
            if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > _HEAD_BYTES:
                raise _Refused(responses.TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """Count a part of the body."""
        self._body_bytes += len(body)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """Stop the deadline and the byte count of a complete request."""
        self._in_message = self.transport.unread = False
        self._stop_awaiting()
        self.transport.keep(0)
        HttpToolsProtocol.on_message_complete(self)

    # Upgrades

    def _check_upgrade(self) -> None:
        """Refuse an upgrade request with a body, whose bytes would be parsed as frames."""
        if any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in self.headers):
            raise _Refused(responses.BAD_REQUEST)

    def _upgrade(self, rest: bytes) -> None:
        if not self._should_upgrade():  # an upgrade to an unsupported protocol is ignored (RFC 9110, 7.8)
            self._feed(rest)
            return
        if any(not cycle.response_complete for cycle in self._running):
            self._refuse(responses.BAD_REQUEST)  # the outstanding responses would be sent into the WebSocket
            return
        self._stop_awaiting()
        self.transport.unread = False
        self.handle_websocket_upgrade()
        if rest:
            self.transport.give_back(rest)

    # Connection

    def on_response_complete(self) -> None:
        """After a complete response, serve the next request or count the connection as idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.limits.idle.start(self.timeout_keep_alive_handler)
        if self.transport.held and len(self.pipeline) < _PIPELINED:
            self.transport.release(Hold.PIPELINE)
        if not self._in_message and not self.pipeline and self.cycle.response_complete:
            self.limits.table.idle(self.transport)

    def _unset_keepalive_if_required(self) -> None:
        """Stop the idle timeout, which is a deadline instead of uvicorn's timer."""
        self.limits.idle.stop(self.timeout_keep_alive_handler)

    def pause_writing(self) -> None:
        """Start the stall timeout: the write buffer is above its limit."""
        super().pause_writing()
        self.transport.expect_taking()

    def resume_writing(self) -> None:
        """Stop the stall timeout: the client has received most of the output."""
        super().resume_writing()
        self.transport.taken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that the connection holds, and tell the application that the client has disconnected."""
        self._stop_awaiting()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        self.transport.lose()
        for cycle in self._running:  # uvicorn notifies the newest only, not the ones that others are pipelined behind
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    # The reserve

    def _enter_reserve(self) -> None:
        """Serve a health probe or a request with credentials; refuse all others."""
        self.transport.place.was_asked = True
        path = self.url.partition(b"?")[0].decode("latin-1")
        is_probe = path.removeprefix(self.limits.base_path) in _PROBES and self.parser.get_method() in (b"GET", b"HEAD")
        if not is_probe and not any(_is_credential(name, value) for name, value in self.headers):
            raise _Refused(responses.TOO_MANY)
        self.app_state = self.scope["state"] = {**self.app_state, **reserved_state(self._authenticated)}

    def _authenticated(self) -> bool:
        return self.limits.table.authenticated(self.transport)

    # Refusals

    def _stop_awaiting(self) -> None:
        """Stop the deadline of the message that was arriving."""
        if self._awaiting is not None:
            self._awaiting.stop(self._too_slow)
            self._awaiting = None

    def _too_slow(self) -> None:
        self._awaiting = None
        answered = self.cycle is not None and self.cycle.response_complete
        if self._in_message and not self._in_head and answered:
            self.transport.close()  # after an early response
        elif self.transport.held or (self._in_head and any(not cycle.response_complete for cycle in self._running)):
            self._await(self.limits.heads if self._in_head else self.limits.messages)
        else:
            self._refuse(responses.TOO_SLOW)

    def _too_much(self) -> None:
        self._refuse(responses.TOO_MUCH)

    def _refuse(self, answer: bytes) -> None:
        """Send an error response and close the connection; abort it instead if another response has begun."""
        self._stop_awaiting()
        if self.transport.is_closing():
            return
        if any(cycle.response_started and not cycle.response_complete for cycle in self._running):
            self.transport.abort()
            return
        self.transport.unread = True
        self.transport.write(answer)
        self.transport.close()


def _is_credential(name: bytes, value: bytes) -> bool:
    return name == _API_KEY or (name in _WITH_BEARER and b"bearer" in value.lower())


def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """Return the path, the path as it was sent, and the query of a request target."""
    parsed = parse_url(url)
    raw_path: bytes = parsed.path
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, parsed.query or b""


_kept_target = lru_cache(maxsize=256)(_target)


def limited_http(limits: ConnectionLimits) -> type[LimitedHttp]:
    """Return a protocol class with these limits."""
    return type("LimitedHttp", (LimitedHttp,), {"limits": limits})
