"""Streamable HTTP: POST, GET and DELETE on one endpoint, for both eras.

Owns what HTTP adds to a frame: content types, body limits, the session header, streams that are open or resumed. The
messages themselves are the peer's affair.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.types import Receive, Scope, Send

from app.presentation.peer import Peer
from app.presentation.protocol.call import Facts
from app.presentation.protocol.faults import encode_fault
from app.presentation.protocol.refusal import Refusal
from app.presentation.protocol.revisions import REVISIONS, stateless_revision
from app.presentation.server import Server
from transports.http.accept import accepts
from transports.http.answers import answer, empty, refuse
from transports.http.exchange import Exchange
from transports.http.standalone import StandaloneStreams

_BODY_SECONDS = 15.0
_METHODS = [(b"allow", b"POST, GET, DELETE")]
_STATELESS_METHODS = [(b"allow", b"POST")]
_JSON = b"application/json"


class StreamableHttp:
    """The MCP endpoint."""

    def __init__(self, server: Server, *, max_body_bytes: int, keep_alive_seconds: float) -> None:
        self._server = server
        self._max_body_bytes = max_body_bytes
        self._keep_alive_seconds = keep_alive_seconds
        self._standalone = StandaloneStreams(server, keep_alive_seconds)
        self._too_large = b"The body is larger than %d bytes (setting server.max_body_bytes)\n" % max_body_bytes

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the streams of sessions while the application runs."""
        async with self._standalone.running():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        match scope["method"]:
            case "POST":
                await self._post(scope, receive, send)
            case "GET":
                await self._get(scope, receive, send)
            case "DELETE":
                await self._delete(scope, receive, send)
            case _:
                await refuse(send, 405, "Use POST, GET or DELETE", _METHODS)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        own, facts = _headers(scope)
        if not _is_json(own.get(b"content-type")):
            await refuse(send, 415, "Send Content-Type: application/json (charset utf-8)")
            return
        if own.get(b"content-encoding", b"identity") != b"identity":
            await refuse(send, 415, "Send the body without Content-Encoding", [(b"accept-encoding", b"identity")])
            return
        accepts_json, accepts_stream = accepts(own.get(b"accept"))
        if not (accepts_json or accepts_stream):
            await refuse(send, 406, "Send Accept: application/json, text/event-stream")
            return
        body = await self._body(own.get(b"content-length"), receive, send)
        if body is None:
            return
        peer = self._peer(facts)
        exchange = Exchange(
            self._server,
            peer,
            receive,
            send,
            accepts_json=accepts_json,
            accepts_stream=accepts_stream,
            keep_alive_seconds=self._keep_alive_seconds,
        )
        try:
            await peer.receive(body, exchange, facts)
        finally:
            exchange.close()

    async def _get(self, scope: Scope, receive: Receive, send: Send) -> None:
        own, facts = _headers(scope)
        if _is_stateless(facts):
            await refuse(send, 405, "This revision has no GET: use subscriptions/listen", _STATELESS_METHODS)
            return
        if not accepts(own.get(b"accept"))[1]:
            await refuse(send, 406, "Send Accept: text/event-stream")
            return
        peer = self._peer(facts)
        try:
            session = await peer.own_session(facts)
        except Refusal as refusal:
            await _tell(send, refusal)
            return
        last_event_id = own.get(b"last-event-id", b"").decode("latin-1")
        await self._standalone.serve(peer, REVISIONS[session.version], last_event_id, receive, send)

    async def _delete(self, scope: Scope, _receive: Receive, send: Send) -> None:
        _, facts = _headers(scope)
        if _is_stateless(facts):
            await refuse(send, 405, "This revision has no sessions", _STATELESS_METHODS)
            return
        try:
            session = await self._peer(facts).own_session(facts)
        except Refusal as refusal:
            await _tell(send, refusal)
            return
        await self._server.close_session(session.id)
        await empty(send, 204)

    def _peer(self, facts: Facts) -> Peer:
        session_id = facts.header("mcp-session-id")
        if session_id is None or _is_stateless(facts):
            return self._server.connect()
        return self._server.resume(session_id)

    async def _body(self, length: bytes | None, receive: Receive, send: Send) -> bytes | None:
        """Return the body; None after refusing one that is too large or too slow, or when the client has left."""
        if length is not None and length.isdigit() and int(length) > self._max_body_bytes:
            await answer(send, 413, self._too_large, b"text/plain; charset=utf-8", [(b"connection", b"close")])
            return None
        parts: list[bytes] = []
        size = 0
        with anyio.move_on_after(_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                size += len(part)
                if size > self._max_body_bytes:
                    await answer(send, 413, self._too_large, b"text/plain; charset=utf-8", [(b"connection", b"close")])
                    return None
                if not message.get("more_body"):
                    return b"".join((*parts, part)) if parts else part
                parts.append(part)
        await refuse(
            send, 408, f"The body did not arrive within {_BODY_SECONDS:g} seconds", [(b"connection", b"close")]
        )
        return None


def _headers(scope: Scope) -> tuple[dict[bytes, bytes], Facts]:
    """Return the headers that HTTP is about, and the facts with those that the protocol is about."""
    own: dict[bytes, bytes] = {}
    protocol: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name.startswith(b"mcp-"):
            protocol.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        else:
            own[name] = value
    client = scope.get("client")
    return own, Facts("http", local=False, headers=protocol, address=client[0] if client else "")


def _is_json(content_type: bytes | None) -> bool:
    if content_type == _JSON:
        return True
    kind, _, parameters = (content_type or b"").lower().partition(b";")
    return kind.strip() == _JSON and parameters.strip().replace(b'"', b"").replace(b" ", b"") in (b"", b"charset=utf-8")


def _is_stateless(facts: Facts) -> bool:
    return stateless_revision(facts.header("mcp-protocol-version")) is not None


async def _tell(send: Send, refusal: Refusal) -> None:
    revision = refusal.revision
    status = revision.http_statuses.get(refusal.fault.kind, 400)
    await answer(send, status, encode_fault(refusal.fault, None, revision), _JSON)
