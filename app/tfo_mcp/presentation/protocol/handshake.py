"""The handshake era: `initialize` opens a session, and every later request belongs to a session.

A question to the client is a server-to-client request on the call's stream. The session is loaded from the session
store for each request, so that any replica can serve it.
"""

from collections.abc import Mapping
from typing import Any

import anyio

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.queries import GetSession
from tfo_mcp.domain.errors import DomainError, Kind, OperationFailed, SessionNotFound
from tfo_mcp.domain.events import Change
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import NO_CAPABILITIES, Answer, Question
from tfo_mcp.domain.session import Session, SessionState
from tfo_mcp.domain.text import shortened
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import Request, RequestId
from tfo_mcp.presentation.protocol import questions as question_rendering
from tfo_mcp.presentation.protocol.call import Call, Correlation, Facts, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Refusal, fault_of, unknown_method
from tfo_mcp.presentation.protocol.headers import VERSION as VERSION_HEADER
from tfo_mcp.presentation.protocol.rendering import change_notification, mapping
from tfo_mcp.presentation.protocol.revisions import (
    DEFAULT_REVISION,
    LATEST_HANDSHAKE,
    REVISIONS,
    Revision,
    handshake_revision,
)
from tfo_mcp.presentation.protocol.validation import InvalidShape, check_request, encode_result

_DEFAULT_LOG_LEVEL = "info"
_BEFORE_READY = frozenset({"initialize", "ping", "shutdown"})


class HandshakeEra:
    """Implements the revisions that begin with a handshake.

    Args:
        ask_timeout_seconds: how long to wait for the client's answer to a question.
    """

    def __init__(self, bus: Bus, ask_timeout_seconds: float) -> None:
        self._bus = bus
        self._ask_timeout = ask_timeout_seconds

    async def open(self, request: Request, facts: Facts, outlet: Outlet, correlation: Correlation) -> Call:
        """Check the request step by step and return its call.

        Raises:
            Refusal: a check failed.
        """
        # 1. The version header, if present, names a revision with a handshake.
        header = facts.header(VERSION_HEADER)
        if header is not None and handshake_revision(header) is None:
            known = [version for version, revision in REVISIONS.items() if revision.handshake]
            raise Refusal(Fault(Kind.UNSUPPORTED_VERSION, "Unsupported protocol version", supported=known))
        # 2. `initialize` needs no session, and must not have one.
        if request.method == "initialize":
            return await self._open_initialize(request, facts, outlet, correlation)
        # 3. Every other method needs a session, except ping on a transport without HTTP headers.
        session = await self._session(request, facts, correlation)
        revision = DEFAULT_REVISION if session is None else REVISIONS[session.version]
        # 4. The version header, if present, matches the session's version.
        if header is not None and header != revision.version:
            raise Refusal(
                Fault(Kind.UNSUPPORTED_VERSION, f"This session speaks {revision.version}", requested=header), revision
            )
        # 5. The method exists in the revision.
        if request.method not in revision.methods:
            raise Refusal(unknown_method(request.method), revision)
        # 6. The params match the method's schema.
        _validate(request, revision)
        return Call(
            request,
            self,
            revision,
            facts,
            outlet,
            correlation,
            capabilities=session.capabilities if session is not None else NO_CAPABILITIES,
            meta=mapping(request.params.get("_meta")),
            log_level=(session.log_level or _DEFAULT_LOG_LEVEL) if session is not None else None,
            session=session,
        )

    async def check(self, call: Call) -> None:
        """Check that the session belongs to the caller and is ready.

        Raises:
            SessionNotFound: the session belongs to another caller.
            Fault: the session is not ready for this method.
        """
        if call.session is None:
            return
        if call.session.owner != call.caller.name:
            raise SessionNotFound
        if call.session.state is SessionState.READY or call.method in _BEFORE_READY:
            return
        if call.session.state is SessionState.INITIALIZING:
            raise Fault(Kind.INVALID_REQUEST, "Send notifications/initialized first")
        raise Fault(Kind.DRAINING, "The session is closing: initialize a new session")

    async def ask(self, call: Call, questions: Mapping[str, Question]) -> Mapping[str, Answer]:
        """Send all questions as requests on the call's stream, and wait for the answers.

        Raises:
            OperationFailed: the client refused, or did not answer in time.
            InvalidAnswer: an answer does not fit its question.
        """
        waiting: dict[str, str] = {}
        try:
            for key, question in questions.items():
                waiting[key] = request_id = call.correlation.next_id()
                method, params = question_rendering.encode(question, call.revision, request_id)
                call.correlation.expect(request_id)
                await call.outlet.request(jsonrpc.encode_request(request_id, method, params))
            return {
                key: question_rendering.decode(questions[key], await self._answer(call, request_id), key)
                for key, request_id in waiting.items()
            }
        finally:
            for request_id in waiting.values():
                call.correlation.forget(request_id)

    def finish(self, call: Call, result: Mapping[str, Any], *, ttl_ms: int = 0, shared: bool = False) -> bytes:
        """Return the result as JSON. The cache hints are ignored: this era has none."""
        return encode_result(call.method, call.revision, result)

    def finish_encoded(self, members: bytes) -> bytes:
        """Return a result as JSON, given its members as JSON without braces."""
        return b"{%b}" % members

    def announce(self, change: Change, tag: RequestId | None = None) -> bytes:
        """Return the notification frame that reports a change; `tag` is ignored."""
        return jsonrpc.encode_notification(*change_notification(change))

    async def session(self, session_id: SessionId) -> Session:
        """Return the session from the store, which also marks it as in use.

        Raises:
            SessionNotFound: the session does not exist.
        """
        return await self._bus.handle(GetSession(session_id))

    async def _open_initialize(self, request: Request, facts: Facts, outlet: Outlet, correlation: Correlation) -> Call:
        revision = handshake_revision(request.params.get("protocolVersion")) or LATEST_HANDSHAKE
        if correlation.session_id is not None:
            await self._session(request, facts, correlation)
            raise Refusal(Fault(Kind.INVALID_REQUEST, "This session is initialized already"), revision)
        _validate(request, revision)
        return Call(
            request,
            self,
            revision,
            facts,
            outlet,
            correlation,
            capabilities=question_rendering.client_capabilities(request.params["capabilities"]),
            meta=mapping(request.params.get("_meta")),
            log_level=None,
        )

    async def _session(self, request: Request, facts: Facts, correlation: Correlation) -> Session | None:
        if correlation.session_id is None:
            if request.method == "ping" and not facts.transport.mirrors_messages:
                return None
            hint = ", then repeat its Mcp-Session-Id header" if facts.transport.mirrors_messages else ""
            raise Refusal(Fault(Kind.INVALID_REQUEST, f"Send initialize first{hint}"))
        try:
            return await self._bus.handle(GetSession(correlation.session_id))
        except DomainError as problem:
            raise Refusal(fault_of(problem)) from None

    async def _answer(self, call: Call, request_id: str) -> object:
        with anyio.move_on_after(self._ask_timeout):
            response = await call.correlation.response(request_id)
            if response.error is not None:
                reason = response.error.get("message")
                shown = shortened(reason) if isinstance(reason, str) else "no reason given"
                raise OperationFailed(f"The client refused: {shown}")
            return response.result
        cancelled = {"requestId": request_id, "reason": "No answer in time"}
        await call.outlet.notify(jsonrpc.encode_notification("notifications/cancelled", cancelled))
        raise OperationFailed(f"The client did not answer within {self._ask_timeout:g} seconds")


def _validate(request: Request, revision: Revision) -> None:
    try:
        check_request(request, revision)
    except InvalidShape as problem:
        raise Refusal(Fault(Kind.INVALID_PARAMS, str(problem)), revision) from None
