"""A bridge from Streamable HTTP to any other transport, for a client that speaks HTTP only.

Each session of the handshake era is a conversation of its own with the server; all requests of the stateless era share
one. What only HTTP has is the bridge's own doing: session ids, statuses, the version header, the look at Host and
Origin, event streams, cancelling by hanging up; as much of it as the scored scenarios of the official conformance suite
look at. So it is not HTTP that is tested through a bridge, but the messages, which pass as they are but for their ids.
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

from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, META_PREFIX, STATELESS, JsonObject, MessageId
from tests.support.http_client import EVENT_STREAM, JSON
from tests.support.multiplexer import Arrivals, Exchange, Multiplexer, Signal
from tests.support.processes import LOOPBACK

PATH = "/mcp"
SESSION = "Mcp-Session-Id"
VERSION = "MCP-Protocol-Version"
LOOPBACK_NAMES = (LOOPBACK, "localhost", "::1")
SPARE = 2  # conversations begun before a session asks for them: over stdio each is a process, which takes time to start

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022
STATELESS_STATUSES = {
    METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    MISSING_CAPABILITY: HTTPStatus.BAD_REQUEST,
    UNSUPPORTED_VERSION: HTTPStatus.BAD_REQUEST,
}
"""The statuses of the stateless era's errors, as far as their codes tell; all else that a server replies has 200."""

Headers = dict[str, str]
Connect = Callable[[str], AbstractContextManager[Conversation]]
"""Opens a conversation at a revision, in which nothing was said yet."""


class RefusedError(Exception):
    """The bridge itself refuses a request."""

    def __init__(
        self, status: HTTPStatus, reason: str, code: int = INVALID_REQUEST, identifier: MessageId | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reply: JsonObject = {"jsonrpc": "2.0", "error": {"code": code, "message": reason}}
        if identifier is not None:
            self.reply["id"] = identifier


class Bridge(ThreadingHTTPServer):
    """The endpoint, and the conversations behind it."""

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
        """Return the conversation that all requests of the stateless era share."""
        with self._lock:
            if self._stateless is None:
                self._stateless = Multiplexer(self._connect(STATELESS), shared=True)
            return self._stateless

    def open_session(self) -> tuple[str, Multiplexer]:
        """Begin a conversation of the handshake era and return it with a new id."""
        identifier = uuid.uuid4().hex
        with self._lock:
            while len(self._spare) <= SPARE:
                self._spare.append(Multiplexer(self._connect(LATEST_HANDSHAKE), shared=False))
            session = self._sessions[identifier] = self._spare.popleft()
        return identifier, session

    def session(self, identifier: str) -> Multiplexer:
        """Return the conversation with this id.

        Raises:
            RefusedError: there is none.
        """
        with self._lock:
            if identifier not in self._sessions:
                raise RefusedError(HTTPStatus.NOT_FOUND, "There is no such session")
            return self._sessions[identifier]

    def forget_session(self, identifier: str) -> None:
        """Let the id mean nothing from now on."""
        with self._lock:
            self._sessions.pop(identifier, None)

    def end(self) -> None:
        """End every conversation."""
        shared = () if self._stateless is None else (self._stateless,)
        for conversation in (*shared, *self._sessions.values(), *self._spare):
            conversation.close()


class _Handler(BaseHTTPRequestHandler):
    """One HTTP request. Its connection serves no other, so that a client that hangs up can be told from the next."""

    protocol_version = "HTTP/1.1"
    server: Bridge
    connection: socket.socket

    def do_POST(self) -> None:
        """Pass a message on, and what comes back."""
        self._serve(self._post)

    def do_GET(self) -> None:
        """Stream what belongs to no request of a session."""
        self._serve(self._get)

    def do_DELETE(self) -> None:
        """End a session."""
        self._serve(self._delete)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """End the thread that watches the connection, if there is one."""
        super().finish()
        with suppress(OSError):  # the client has gone already
            self.connection.shutdown(socket.SHUT_RD)

    def _serve(self, method: Callable[[], None]) -> None:
        try:
            self._check_names()
            method()
        except RefusedError as refusal:
            self._respond(refusal.status, refusal.reply)

    def _check_names(self) -> None:
        """Refuse what the page of another site may have sent."""
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
        """Return the conversation that a message belongs to, and the headers that tell the client of it."""
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
        """Answer with the reply alone, or with a stream when something comes before it."""
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
        """Let a thread say when the client hangs up."""

        def watch() -> None:
            with suppress(OSError):  # broken off is hung up too
                self.connection.recv(1, socket.MSG_PEEK)
            arrivals.put(Signal.HUNG_UP)

        threading.Thread(target=watch, name="hang-up-watch", daemon=True).start()

    def _stream(self, arrival: JsonObject | Signal, arrivals: Arrivals) -> Signal | None:
        """Send events up to the reply; return the signal that came instead of it, if one did."""
        while isinstance(arrival, dict):
            with suppress(ConnectionError):  # the watch says it too
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
        with suppress(ConnectionError):  # a client that has gone waits for no answer
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
    if (error.get("data") or {}).get("kind") == "invalid_meta":  # its code is that of other invalid params as well
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
