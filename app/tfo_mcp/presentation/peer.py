"""Peer: one JSON-RPC conversation, without sockets.

Receives frames together with the outlet for their responses. Owns the conversation's session, its batches, and the
correlation of responses with server requests; `calls` owns its calls in flight. A stdio process has one peer, an HTTP
session one per process, and a stateless POST a new one. Knows no transport and no method.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio

from tfo_mcp.application.changes import ChangeFilter
from tfo_mcp.application.commands import CloseSession, ConfirmSession, WatchChanges, WatchSubscriptions
from tfo_mcp.domain.errors import DomainError, InvalidTransition, Kind, NotFound, SessionNotFound, StateUnavailable
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.batches import Answers, MemberOutlet
from tfo_mcp.presentation.calls import Calls
from tfo_mcp.presentation.change_notifier import ChangeNotifier
from tfo_mcp.presentation.frame_parser import FrameParser
from tfo_mcp.presentation.jsonrpc import Batch, Malformed, Message, Notification, Request, Response
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.presentation.protocol.call import Correlation, Facts, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Refusal, encode_fault, fault_of
from tfo_mcp.presentation.protocol.headers import VERSION as VERSION_HEADER
from tfo_mcp.presentation.protocol.revisions import (
    DEFAULT_REVISION,
    LATEST_STATELESS,
    REVISIONS,
    Revision,
)

_ALL_CHANGES = ChangeFilter(frozenset({"tools", "prompts", "resources"}), uris=None)


class Peer:
    """One conversation with a client; without `session_id` it has no session yet, or is stateless.

    `on_closed` is given if the conversation has its own connection, and called when `shutdown` has ended the session.
    """

    def __init__(
        self,
        shared: PeerServices,
        session_id: SessionId | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._shared = shared
        self._correlation = Correlation(session_id, standing=on_closed is not None)
        self._calls = Calls(shared, self._correlation)
        self._parser = FrameParser()
        self._on_closed = on_closed

    @property
    def session_id(self) -> SessionId | None:
        """The id of the conversation's session, None if it has none."""
        return self._correlation.session_id

    async def receive(self, frame: bytes, outlet: Outlet, facts: Facts) -> None:
        """Serve one frame completely, with exactly one `reply` or `no_reply` on the outlet."""
        message = self._parser.parse_at_once(frame)
        if message is None:
            message = await self._parser.parse(frame)
        await self.serve(message, frame, outlet, facts)

    async def parse(self, frame: bytes) -> Message | Batch:
        """Return the message in a frame; messages keep their order of arrival."""
        return await self._parser.parse(frame)

    def serve(self, message: Message | Batch, frame: bytes, outlet: Outlet, facts: Facts) -> Coroutine[Any, Any, None]:
        """Return a coroutine that serves the message that `parse` returned for a frame."""
        if isinstance(message, Request):
            return self._serve(message, outlet, facts)
        if isinstance(message, Batch):
            return self._serve_batch(message.messages, outlet, facts)
        if isinstance(message, Malformed):
            return self._refuse_malformed(message, outlet, facts)
        return self._handle_unanswered(message, frame, outlet, facts)

    async def refusal(self, malformed: Malformed, facts: Facts) -> tuple[Revision, bytes]:
        """Return the error frame for an invalid message, with the conversation's revision."""
        try:
            revision = await self._revision(facts)
        except Refusal as refused:
            revision = refused.revision
        return revision, encode_fault(Fault(malformed.kind, malformed.problem), malformed.id, revision)

    async def refuse(self, frame: bytes, outlet: Outlet, facts: Facts, fault: Fault) -> None:
        """Answer a frame with a fault instead of serving it; notifications and responses are dropped."""
        match await self.parse(frame):
            case Request(identifier) | Malformed(id=identifier):
                revision = await self._revision(facts)
                await outlet.reply(encode_fault(fault, identifier, revision), fault, revision)
            case Batch():
                revision = await self._revision(facts)
                await outlet.reply(encode_fault(fault, None, revision), fault, revision)
            case _:
                await outlet.no_reply()

    def deliver(self, frame: bytes) -> None:
        """Handle a response or cancellation for this session that another process received and checked."""
        match jsonrpc.parse(frame):
            case Response() as response:
                self._correlation.settle(response)
            case Notification("notifications/cancelled", params):
                self._calls.cancel(params.get("requestId"))

    async def own_session(self, facts: Facts) -> Session:
        """Return the conversation's session if it belongs to the caller.

        Raises:
            Refusal: there is no session, it belongs to another caller, or the version header does not match.
        """
        try:
            if self.session_id is None:
                raise Fault(Kind.INVALID_REQUEST, "This needs the Mcp-Session-Id header that initialize returned")
            session = await self._shared.handshake.session(self.session_id)
            if session.owner != facts.caller.name:
                raise SessionNotFound
            version = facts.header(VERSION_HEADER)
            if version is not None and version != session.version:
                raise Fault(Kind.UNSUPPORTED_VERSION, f"This session speaks {session.version}", requested=version)
        except Fault as fault:
            raise Refusal(fault) from None
        except DomainError as problem:
            raise Refusal(fault_of(problem)) from None
        return session

    async def announcements(self, outlet: Outlet, facts: Facts) -> ChangeNotifier:
        """Start notifying the session's client of changes, and return the notifier."""
        feed = await self._shared.bus.handle(WatchChanges(_ALL_CHANGES, facts.caller, facts.account))
        if self.session_id is not None:
            with suppress(SessionNotFound, StateUnavailable):
                await self._shared.bus.handle(WatchSubscriptions(self.session_id))
        return ChangeNotifier(feed, self._shared.handshake, self._correlation, outlet)

    async def end(self) -> None:
        """Cancel all calls and close the session, after its connection was closed."""
        self.cancel_all()
        if self.session_id is not None:
            with suppress(StateUnavailable):  # then it ends when it has been idle for too long
                await self._shared.bus.handle(CloseSession(self.session_id))

    async def drained(self) -> None:
        """Wait as `Calls.drained` does."""
        await self._calls.drained()

    def cancel_all(self) -> None:
        """Cancel every call in flight."""
        self._calls.cancel_all()

    async def _serve(self, request: Request, outlet: Outlet, facts: Facts) -> None:
        if await self._calls.serve(request, outlet, facts):
            if self.session_id is not None:
                is_shared = not self._correlation.standing
                await self._shared.drain.wait(self.session_id, own=self._calls.drained, is_shared=is_shared)
            await self.end()
            if self._on_closed is not None:
                self._on_closed()

    async def _serve_batch(self, messages: tuple[Message, ...], outlet: Outlet, facts: Facts) -> None:
        try:
            revision = await self._revision(facts)
        except Refusal as refusal:
            frame = encode_fault(refusal.fault, None, refusal.revision)
            await outlet.reply(frame, refusal.fault, refusal.revision)
            return
        if not revision.batches:
            fault = Fault(
                Kind.INVALID_REQUEST, f"Revision {revision.version} has no batches: send one message at a time"
            )
            await outlet.reply(encode_fault(fault, None, revision), fault, revision)
            return
        answers = Answers(self._shared.responses, facts.account)
        try:
            async with anyio.create_task_group() as tasks:
                for message in messages:
                    member = MemberOutlet(getattr(message, "id", None), outlet, answers)
                    tasks.start_soon(self._serve_one, message, member, facts, revision)
            if answers.frames:
                await outlet.reply(jsonrpc.encode_batch(answers.frames), None, revision)
            else:
                await outlet.no_reply()
        finally:
            answers.give_back()

    async def _serve_one(self, message: Message, outlet: Outlet, facts: Facts, revision: Revision) -> None:
        match message:
            case Request(identifier, "initialize"):
                fault = Fault(Kind.INVALID_REQUEST, "initialize must not be part of a batch")
                await outlet.reply(encode_fault(fault, identifier, revision), fault, revision)
            case Request():
                await self._serve(message, outlet, facts)
            case Malformed():
                await self._refuse_malformed(message, outlet, facts)
            case Notification() | Response():
                await self._handle_unanswered(message, None, outlet, facts)

    async def _revision(self, facts: Facts) -> Revision:
        """Return the session's revision; without a session, the latest one of the handshake era.

        Raises:
            Refusal: the session has ended or belongs to another caller.
        """
        return DEFAULT_REVISION if self.session_id is None else REVISIONS[(await self.own_session(facts)).version]

    async def _refuse_malformed(self, malformed: Malformed, outlet: Outlet, facts: Facts) -> None:
        revision, frame = await self.refusal(malformed, facts)
        await outlet.reply(frame, Fault(Kind.INVALID_REQUEST, malformed.problem), revision)

    async def _handle_unanswered(
        self, message: Notification | Response, frame: bytes | None, outlet: Outlet, facts: Facts
    ) -> None:
        """Handle a notification or response; `frame` is None for a batch member."""
        try:
            if facts.transport.mirrors_messages:
                await self._check_unanswered(message, facts)
            await self._handle_or_relay(message, frame)
        except Refusal as refusal:
            if facts.transport.mirrors_messages:
                answer = encode_fault(refusal.fault, None, refusal.revision)
                await outlet.reply(answer, refusal.fault, refusal.revision)
                return
        await outlet.no_reply()

    async def _handle_or_relay(self, message: Notification | Response, frame: bytes | None) -> None:
        """Handle a notification or response, or send it to the process that waits for it.

        Raises:
            Refusal: it could not be sent.
        """
        try:
            if not await self._handle(message) and self.session_id is not None:
                await self._shared.relay.publish(self.session_id, frame or jsonrpc.encode_message(message))
        except StateUnavailable as problem:
            raise Refusal(fault_of(problem)) from None

    async def _check_unanswered(self, message: Notification | Response, facts: Facts) -> None:
        if self.session_id is None and isinstance(message, Notification):
            probe = Request(0, message.method, message.params)
            if self._shared.stateless.claims(probe, facts, self._correlation):
                return
        if self.session_id is None and isinstance(message, Response):
            fault = Fault(Kind.INVALID_REQUEST, "Responses are not accepted without a session")
            raise Refusal(fault, LATEST_STATELESS)
        await self.own_session(facts)

    async def _handle(self, message: Notification | Response) -> bool:
        """Handle a notification or response; return False if it may be for another process."""
        match message:
            case Response():
                return self._correlation.settle(message)
            case Notification("notifications/cancelled", params):
                return self._calls.cancel(params.get("requestId"))
            case Notification("notifications/roots/list_changed"):
                self._correlation.forget_roots()
            case Notification("notifications/initialized") if self.session_id is not None:
                try:
                    await self._shared.bus.handle(ConfirmSession(self.session_id))
                except (NotFound, InvalidTransition):
                    return True  # no-op: the session is already confirmed or has ended
        return True
