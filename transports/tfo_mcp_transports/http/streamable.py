"""Streamable HTTP: POST, GET and DELETE on one endpoint, for both eras.

Owns what HTTP adds to a frame: content types, body limits, the session header, open and resumed streams. The peer
handles the messages.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio
from starlette.types import Receive, Scope, Send

from tfo_mcp.presentation.jsonrpc import Request
from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.protocol.faults import Fault, Refusal, encode_fault
from tfo_mcp.presentation.protocol.revisions import REVISIONS, stateless_revision
from tfo_mcp.presentation.server import Caller, Server
from tfo_mcp_transports.http.accept import accepts
from tfo_mcp_transports.http.bodies import RequestBytes, receive_json
from tfo_mcp_transports.http.exchange import Exchange, Explain
from tfo_mcp_transports.http.session_stream import StandaloneStreams
from tfo_mcp_transports.network.authentication import HttpAuthentication, address_of
from tfo_mcp_transports.network.deadlines import Deadlines, sweep
from tfo_mcp_transports.network.request_headers import RequestHeaders, headers_of
from tfo_mcp_transports.network.responses import answer, empty, refuse

HTTP = Transport("http", "tcp", "http", mirrors_messages=True)
_ATTEND_AFTER_SECONDS = 0.2
_METHODS = [(b"allow", b"POST, GET, DELETE")]
_STATELESS_METHODS = [(b"allow", b"POST")]
_JSON = b"application/json"
_SESSION_HEADER = "mcp-session-id"
_INITIALIZE = b'"initialize"'


class StreamableHttp:
    """The MCP endpoint."""

    def __init__(
        self, server: Server, authentication: HttpAuthentication, max_body_bytes: int, keep_alive_seconds: float
    ) -> None:
        self._server = server
        self._request_bytes = server.request_bytes
        self._authentication = authentication
        self._watch_deadlines = Deadlines(_ATTEND_AFTER_SECONDS)
        self._max_body_bytes = max_body_bytes
        self._keep_alive_seconds = keep_alive_seconds
        self._standalone = StandaloneStreams(server, keep_alive_seconds)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the standalone streams and the watch deadlines until the context is left."""
        async with self._standalone.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(sweep, self._watch_deadlines)
            yield
            tasks.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        caller = await self._authentication.authenticate(scope, send, HTTP)
        if caller is None:
            return
        headers = headers_of(scope)
        facts = _facts(scope, headers, caller)
        if "," in (facts.header(_SESSION_HEADER) or ""):
            await refuse(send, 400, "Send one Mcp-Session-Id header at most")
            return
        match scope["method"]:
            case "POST":
                await self._post(headers, facts, receive, send, partial(self._authentication.explain, scope, caller))
            case "GET":
                await self._get(scope, headers, facts, receive, send)
            case "DELETE":
                await self._delete(scope, facts, send)
            case _:
                await refuse(send, 405, "Use POST, GET or DELETE", _METHODS)

    async def _post(
        self, headers: RequestHeaders, facts: Facts, receive: Receive, send: Send, explain: Explain
    ) -> None:
        accepts_json, accepts_stream = _accepts(headers)
        if not (accepts_json or accepts_stream):
            await refuse(send, 406, "Send Accept: application/json, text/event-stream")
            return
        charged = RequestBytes(self._request_bytes, facts)
        try:
            body = await receive_json(headers.by_name, self._max_body_bytes, charged, receive, send)
            if body is None:
                return
            peer = self._peer(facts)
            if peer.session_id is not None and _INITIALIZE in body and await self._is_fresh_start(peer, body, facts):
                peer = self._server.peers.connect()
            exchange = Exchange(
                self._server,
                peer,
                facts,
                receive,
                send,
                accepts_json=accepts_json,
                accepts_stream=accepts_stream,
                keep_alive_seconds=self._keep_alive_seconds,
                watch_deadlines=self._watch_deadlines,
                explain=explain,
            )
            try:
                await peer.receive(body, exchange, facts)
            finally:
                exchange.close()
        finally:
            if charged.size:
                charged.give_back()

    async def _is_fresh_start(self, peer: Peer, body: bytes, facts: Facts) -> bool:
        """Return whether a body is an `initialize` that still names a session which has ended."""
        message = await peer.parse(body)
        if not (isinstance(message, Request) and message.method == "initialize"):
            return False
        try:
            await peer.own_session(facts)
        except Refusal:
            return True
        return False

    async def _get(self, scope: Scope, headers: RequestHeaders, facts: Facts, receive: Receive, send: Send) -> None:
        if _is_stateless(facts):
            await refuse(send, 405, "This revision has no GET: use subscriptions/listen", _STATELESS_METHODS)
            return
        if not _accepts(headers)[1]:
            await refuse(send, 406, "Send Accept: text/event-stream")
            return
        peer = self._peer(facts)
        try:
            session = await peer.own_session(facts)
        except Refusal as refusal:
            await self._tell(scope, facts, send, refusal)
            return
        give_back = await self._authentication.take_stream(scope, send, facts)
        if give_back is None:
            return
        last_event_id = headers.by_name.get(b"last-event-id", b"").decode("latin-1")
        try:
            with self._server.using(session.id):
                await self._standalone.serve(peer, facts, REVISIONS[session.version], last_event_id, receive, send)
        except Fault as fault:  # before the response
            await self._tell(scope, facts, send, Refusal(fault, REVISIONS[session.version]))
        finally:
            give_back()

    async def _delete(self, scope: Scope, facts: Facts, send: Send) -> None:
        if _is_stateless(facts):
            await refuse(send, 405, "This revision has no sessions", _STATELESS_METHODS)
            return
        try:
            session = await self._peer(facts).own_session(facts)
            await self._server.close_session(session.id)
        except Refusal as refusal:
            await self._tell(scope, facts, send, refusal)
        except Fault as fault:
            await self._tell(scope, facts, send, Refusal(fault))
        else:
            await empty(send, 204)

    async def _tell(self, scope: Scope, facts: Facts, send: Send, refusal: Refusal) -> None:
        revision, fault = refusal.revision, refusal.fault
        status, headers = self._authentication.explain(
            scope, facts.caller, fault, revision.http_statuses.get(fault.kind, 400)
        )
        await answer(send, status, encode_fault(fault, None, revision), _JSON, headers)

    def _peer(self, facts: Facts) -> Peer:
        session_id = facts.header(_SESSION_HEADER)
        if not session_id or _is_stateless(facts):
            return self._server.peers.connect()
        return self._server.peers.resume(session_id)


_OF_PROTOCOL = frozenset({b"mcp-", b"trac"})
"""First four bytes of the headers that describe the message: the protocol's own, and those of W3C Trace Context."""


def _facts(scope: Scope, headers: RequestHeaders, caller: Caller) -> Facts:
    """Return the facts of a request, with the headers that describe the message."""
    protocol: dict[str, Sequence[str]] = {
        _decoded(name): (_decoded(value),) for name, value in headers.by_name.items() if name[:4] in _OF_PROTOCOL
    }
    for name in headers.repeated:
        if name[:4] in _OF_PROTOCOL:
            protocol[_decoded(name)] = tuple(map(_decoded, headers.values(name)))
    return Facts(HTTP, caller, protocol, address_of(scope))


def _decoded(value: bytes) -> str:
    return value.decode("latin-1")


def _accepts(headers: RequestHeaders) -> tuple[bool, bool]:
    """Return whether the client accepts JSON, and whether it accepts an event stream; all Accept headers count."""
    return accepts(b",".join(headers.values(b"accept")))


def _is_stateless(facts: Facts) -> bool:
    return stateless_revision(facts.header("mcp-protocol-version")) is not None
