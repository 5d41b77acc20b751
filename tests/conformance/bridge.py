"""A bridge from Streamable HTTP to any other transport, for clients that support only HTTP.

Each session of the handshake era is a separate conversation with the server; all stateless requests share one. The
bridge itself implements the parts of HTTP that the scored scenarios of the official conformance suite need: session
ids, statuses, the version header, validation of Host and Origin, event streams, and cancellation by disconnect. A test
through a bridge therefore checks the messages and not HTTP; messages pass unchanged except for their ids.
"""

import json
import socket
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.conformance.multiplexer import Arrivals, Exchange, Multiplexer, Signal
from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, META_PREFIX, STATELESS, JsonObject, MessageId
from tests.support.http_client import EVENT_STREAM, JSON
from tests.support.processes import LOOPBACK

PATH = "/mcp"
SESSION = "Mcp-Session-Id"
VERSION = "MCP-Protocol-Version"
LOOPBACK_NAMES = (LOOPBACK, "localhost", "::1")
SPARE = 2  # conversations opened in advance: over stdio each is a process, which takes time to start

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022
STATELESS_STATUSES = {
    METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    MISSING_CAPABILITY: HTTPStatus.BAD_REQUEST,
    UNSUPPORTED_VERSION: HTTPStatus.BAD_REQUEST,
}
"""HTTP statuses of stateless errors by their codes; every other reply has 200."""

Headers = dict[str, str]
Connect = Callable[[str], AbstractContextManager[Conversation]]
"""Opens a conversation at a revision, before any message."""


class RefusedError(Exception):
    """A request that the bridge itself refuses."""

    def __init__(
        self, status: HTTPStatus, reason: str, code: int = INVALID_REQUEST, identifier: MessageId | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reply: JsonObject = {"jsonrpc": "2.0", "error": {"code": code, "message": reason}}
        if identifier is not None:
            self.reply["id"] = identifier


class Bridge(ThreadingHTTPServer):
    """The HTTP endpoint and the conversations with the server."""

    daemon_threads = True

    def __init__(self, connect: Connect) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self._connect = connect
        self._sessions: dict[str, Multiplexer] = {}
        self._lock = threading.Lock()
        self._spare: deque[Multiplexer] = deque()
        self._stateless: Multiplexer | None = None

    @property
    def url(self) -> str:
        """The MCP endpoint."""
        return f"http://{LOOPBACK}:{self.server_port}{PATH}"

    def stateless(self) -> Multiplexer:
        """Return the conversation that all stateless requests share."""
        with self._lock:
            if self._stateless is None:
                self._stateless = Multiplexer(self._connect(STATELESS), shared=True)
            return self._stateless

    def open_session(self) -> tuple[str, Multiplexer]:
        """Open a session of the handshake era and return its new id and its conversation."""
        identifier = uuid.uuid4().hex
        with self._lock:
            while len(self._spare) <= SPARE:
                self._spare.append(Multiplexer(self._connect(LATEST_HANDSHAKE), shared=False))
            session = self._sessions[identifier] = self._spare.popleft()
        return identifier, session

    def session(self, identifier: str) -> Multiplexer:
        """Return the conversation of a session.

        Raises:
            RefusedError: the session does not exist.
        """
        with self._lock:
            if identifier not in self._sessions:
                raise RefusedError(HTTPStatus.NOT_FOUND, "There is no such session")
            return self._sessions[identifier]

    def forget_session(self, identifier: str) -> None:
        """Remove a session; a no-op if it does not exist."""
        with self._lock:
            self._sessions.pop(identifier, None)

    def end(self) -> None:
        """End every conversation."""
        shared = () if self._stateless is None else (self._stateless,)
        for conversation in (*shared, *self._sessions.values(), *self._spare):
            conversation.close()


class _Handler(BaseHTTPRequestHandler):
    """One HTTP request, the only one on its connection, so that a disconnect belongs to this request."""

    protocol_version = "HTTP/1.1"
    server: Bridge
    connection: socket.socket

    def do_POST(self) -> None:
        """Forward a message, and the messages that answer it."""
        self._serve(self._post)

    def do_GET(self) -> None:
        """Stream the messages of a session that belong to no request."""
        self._serve(self._get)

    def do_DELETE(self) -> None:
        """End a session."""
        self._serve(self._delete)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def finish(self) -> None:
        """End the thread that watches the connection, if it runs."""
        super().finish()
        with suppress(OSError):  # the client has disconnected already
            self.connection.shutdown(socket.SHUT_RD)

    def _serve(self, method: Callable[[], None]) -> None:
        try:
            self._check_names()
            method()
        except RefusedError as refusal:
            self._respond(refusal.status, refusal.reply)

    def _check_names(self) -> None:
        """Validate Host, Origin and path, against requests from pages of other sites."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if urlsplit(f"//{host}").hostname not in LOOPBACK_NAMES or origin not in (None, f"http://{host}"):
            raise RefusedError(HTTPStatus.FORBIDDEN, "The Host or the Origin is not allowed")
        if self.path != PATH:
            raise RefusedError(HTTPStatus.NOT_FOUND, "There is nothing here")

    def _post(self) -> None:
        try:
            message = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        except ValueError:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The body is not JSON", PARSE_ERROR) from None
        multiplexer, headers = self._multiplexer_for(message)
        if "method" in message and "id" in message:
            self._answer(multiplexer, multiplexer.start(message), headers)
        else:
            multiplexer.send(message)
            self._respond(HTTPStatus.ACCEPTED)

    def _multiplexer_for(self, message: JsonObject) -> tuple[Multiplexer, Headers]:
        """Return the conversation of a message, and the response headers that carry a new session id."""
        if identifier := self.headers.get(SESSION):
            return self.server.session(identifier), {}
        meta = (message.get("params") or {}).get("_meta") or {}
        if message.get("method") == "initialize" and not any(key.startswith(META_PREFIX) for key in meta):
            identifier, session = self.server.open_session()
            return session, {SESSION: identifier}
        header, named = self.headers.get(VERSION), meta.get(f"{META_PREFIX}protocolVersion")
        if None not in (header, named) and header != named:
            problem = f"{VERSION} and the body name different versions"
            raise RefusedError(HTTPStatus.BAD_REQUEST, problem, HEADER_MISMATCH, message.get("id"))
        return self.server.stateless(), {}

    def _answer(self, multiplexer: Multiplexer, exchange: Exchange, headers: Headers) -> None:
        """Answer with the reply as JSON, or with a stream when another message precedes it."""
        self._watch(exchange.arrivals)
        first = exchange.arrivals.get()
        if first is Signal.ENDED:
            raise RefusedError(HTTPStatus.BAD_GATEWAY, f"The server has gone: {multiplexer.ended_by}")
        if isinstance(first, dict) and "method" not in first:
            self._respond(_status_of(first, multiplexer), first, headers)
            return
        self._begin_stream(headers)
        if self._stream(first, exchange.arrivals) is Signal.HUNG_UP and multiplexer.shared:
            multiplexer.cancel(exchange)

    def _get(self) -> None:
        if SESSION not in self.headers:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "Only a session has a stream of its own")
        unasked = self.server.session(self.headers[SESSION]).unasked
        self._watch(unasked)
        self._begin_stream({})
        self._stream(unasked.get(), unasked)

    def _delete(self) -> None:
        if SESSION not in self.headers:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "Only a session can be ended")
        session = self.server.session(self.headers[SESSION])
        self.server.forget_session(self.headers[SESSION])
        self._respond(HTTPStatus.NO_CONTENT)
        session.close()

    def _watch(self, arrivals: Arrivals) -> None:
        """Start a thread that signals a disconnect of the client."""

        def watch() -> None:
            with suppress(OSError):  # a reset is a disconnect, too
                self.connection.recv(1, socket.MSG_PEEK)
            arrivals.put(Signal.HUNG_UP)

        threading.Thread(target=watch, name="hang-up-watch", daemon=True).start()

    def _stream(self, arrival: JsonObject | Signal, arrivals: Arrivals) -> Signal | None:
        """Send events up to the reply; return the signal that arrived instead of it, or None."""
        while isinstance(arrival, dict):
            with suppress(ConnectionError):  # the watching thread signals it
                self.wfile.write(f"event: message\ndata: {json.dumps(arrival)}\n\n".encode())
            if "method" not in arrival:
                return None
            arrival = arrivals.get()
        return arrival

    def _begin_stream(self, headers: Headers) -> None:
        self._send_head(HTTPStatus.OK, {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache", **headers})

    def _respond(self, status: HTTPStatus, message: JsonObject | None = None, headers: Headers | None = None) -> None:
        body = b"" if message is None else json.dumps(message).encode()
        kind = {"Content-Type": JSON} if body else {}
        length = {} if status is HTTPStatus.NO_CONTENT else {"Content-Length": str(len(body))}
        self._send_head(status, {**kind, **length, **(headers or {})})
        with suppress(ConnectionError):  # the client has disconnected
            self.wfile.write(body)

    def _send_head(self, status: HTTPStatus, headers: Headers) -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        with suppress(ConnectionError):
            self.end_headers()


def _status_of(reply: JsonObject, multiplexer: Multiplexer) -> HTTPStatus:
    error = reply.get("error")
    if error is None or not multiplexer.shared:
        return HTTPStatus.OK
    if (error.get("data") or {}).get("kind") == "invalid_meta":  # shares its code with other invalid params
        return HTTPStatus.BAD_REQUEST
    return STATELESS_STATUSES.get(error["code"], HTTPStatus.OK)


@contextmanager
def bridge_to(connect: Connect) -> Iterator[Bridge]:
    """Serve Streamable HTTP on a free port until the end of the block; `url` is the endpoint."""
    with Bridge(connect) as bridge:
        thread = threading.Thread(target=bridge.serve_forever, args=(0.05,), name="bridge", daemon=True)
        thread.start()
        try:
            yield bridge
        finally:
            bridge.shutdown()
            thread.join(PATIENCE)
            bridge.end()
