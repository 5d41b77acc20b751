"""Peer: one JSON-RPC conversation, without sockets.

Receives frames together with the outlet for their responses. Owns the conversation's calls in flight: cancellation,
request ids in use, and the correlation of responses with server requests. A stdio process has one peer, an HTTP
session one per process, and a stateless POST a new one. Knows no transport and no method.
"""

from asyncio import CancelledError, Task, sleep
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any

import anyio

from tfo_mcp.application.budgets import SMALL_BYTES
from tfo_mcp.application.changes import ChangeFilter
from tfo_mcp.application.commands import CloseSession, ConfirmSession, WatchChanges
from tfo_mcp.domain.errors import DomainError, Kind, SessionNotFound
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.batches import Answers, MemberOutlet
from tfo_mcp.presentation.change_notifier import ChangeNotifier
from tfo_mcp.presentation.in_flight import OUT_OF_TURN, Drain, Running, Turns
from tfo_mcp.presentation.jsonrpc import Batch, Malformed, Message, Notification, Request, RequestId, Response
from tfo_mcp.presentation.middleware.authentication import NO_LONGER_GOOD
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.presentation.protocol.call import Call, Correlation, Era, Facts, Outcome, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Refusal, encode_fault, fault_of, unexpected
from tfo_mcp.presentation.protocol.headers import VERSION as VERSION_HEADER
from tfo_mcp.presentation.protocol.revisions import (
    DEFAULT_REVISION,
    LATEST_STATELESS,
    REVISIONS,
    Revision,
)

_SLICE_BYTES = 256 * 1024  # larger frames are parsed in steps, so that other calls are served in between
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
        self._in_flight: dict[RequestId, Running] = {}
        self._turns = Turns()
        self._drain = Drain(self._in_flight)
        self._order: anyio.Lock | None = None
        self._on_closed = on_closed

    @property
    def session_id(self) -> SessionId | None:
        """The id of the conversation's session, None if it has none."""
        return self._correlation.session_id

    async def receive(self, frame: bytes, outlet: Outlet, facts: Facts) -> None:
        """Serve one frame completely, with exactly one `reply` or `no_reply` on the outlet."""
        if len(frame) <= _SLICE_BYTES and (self._order is None or not self._order.locked()):
            message = jsonrpc.decode(frame)
        else:
            message = await self.parse(frame)
        await self.serve(message, frame, outlet, facts)

    async def parse(self, frame: bytes) -> Message | Batch:
        """Return the message in a frame; messages keep their order of arrival.

        Large frames are checked and parsed in separate event-loop steps, so that they delay other clients less.
        """
        self._order = self._order or anyio.Lock(fast_acquire=True)
        async with self._order:
            if len(frame) <= _SLICE_BYTES:
                return jsonrpc.decode(frame)
            refused = jsonrpc.over_limits(frame)
            await sleep(0)
            message = refused or jsonrpc.parse(frame)
            await sleep(0)
            return message

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
                self._cancel(params.get("requestId"))

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
        return ChangeNotifier(feed, self._shared.handshake, self._correlation, outlet)

    async def end(self) -> None:
        """Cancel all calls and close the session, after its connection was closed."""
        self.cancel_all()
        if self.session_id is not None:
            await self._shared.bus.handle(CloseSession(self.session_id))

    def cancel_all(self) -> None:
        """Cancel every call in flight."""
        for running in list(self._in_flight.values()):
            running.stop(Outcome.CANCELLED)

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        await self._drain.wait()

    async def _serve(self, request: Request, outlet: Outlet, facts: Facts) -> None:
        try:
            call = await self._open(request, outlet, facts)
        except Refusal as refusal:
            frame = encode_fault(refusal.fault, request.id, refusal.revision)
            await outlet.reply(frame, refusal.fault, refusal.revision)
            return
        running = Running(call, self._shared.in_flight.current_task(), monotonic())
        self._in_flight[request.id] = running
        self._shared.in_flight.add(running)
        has_turn = False
        try:
            fault, frame = None, b""
            try:
                if call.method not in OUT_OF_TURN:
                    await self._turns.take()
                    has_turn = True
                    await outlet.drained()
                frame = jsonrpc.encode_result(call.id, await self._shared.serve(call))
            except BaseException as problem:
                fault = _fault_of_call(running, problem)
            finally:
                self._settle(running)
            if running.task.cancelling():
                await _go_on(running.task)
            if len(frame) > SMALL_BYTES and not self._shared.responses.fits(facts.account, len(frame)):
                fault, frame = fault_of(self._shared.responses.exceeded()), b""
            await self._reply(call, outlet, fault, frame)
        finally:
            if has_turn:
                self._turns.give_back()
        if call.ends_session:
            await self._finish_session()

    async def _reply(self, call: Call, outlet: Outlet, fault: Fault | None, frame: bytes) -> None:
        if call.stopped is not None or fault is not None:
            await self._reply_failure(call, outlet, fault)
        elif len(frame) <= SMALL_BYTES:
            await outlet.reply(frame, None, call.revision)
        else:
            await self._reply_charged(call, outlet, frame)

    async def _reply_charged(self, call: Call, outlet: Outlet, frame: bytes) -> None:
        """Send a large result, charged to the response budget until the outlet has accepted it."""
        responses, account = self._shared.responses, call.facts.account
        responses.add(account, len(frame))
        try:
            await outlet.reply(frame, None, call.revision)
        finally:
            responses.give_back(account, len(frame))

    async def _reply_failure(self, call: Call, outlet: Outlet, fault: Fault | None) -> None:
        """Send the error of a call that failed or was stopped; a cancelled call gets no response."""
        if call.stopped is Outcome.TIMEOUT:
            fault = Fault(Kind.TIMEOUT, f"The call took longer than {self._shared.in_flight.limit_seconds:g} seconds")
        elif call.stopped is Outcome.SHUTTING_DOWN:
            fault = Fault(Kind.SHUTTING_DOWN, "The server is shutting down and has ended this call: try again")
        elif call.stopped is Outcome.REVOKED:
            fault = Fault(Kind.UNAUTHENTICATED, NO_LONGER_GOOD)
        elif call.stopped is Outcome.CANCELLED:
            fault = None
        if fault is None:
            await outlet.no_reply()
        else:
            await outlet.reply(encode_fault(fault, call.id, call.revision), fault, call.revision)

    async def _open(self, request: Request, outlet: Outlet, facts: Facts) -> Call:
        era = self._era_of(request, facts)
        try:
            call = await era.open(request, facts, outlet, self._correlation)
        except Refusal:
            raise
        except Exception as problem:
            raise Refusal(unexpected(problem, request.method)) from None
        if request.id in self._in_flight:
            raise Refusal(Fault(Kind.INVALID_REQUEST, "A request with this id is still running"), call.revision)
        outlet.begin(call.revision)
        return call

    def _era_of(self, request: Request, facts: Facts) -> Era:
        if self._shared.stateless.claims(request, facts, self._correlation):
            return self._shared.stateless
        return self._shared.handshake

    def _settle(self, running: Running) -> None:
        running.call.is_settled = True
        self._shared.in_flight.discard(running)
        del self._in_flight[running.call.id]
        self._drain.look()

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
        if not malformed.answerable and not facts.transport.mirrors_messages:
            await outlet.no_reply()
            return
        revision, frame = await self.refusal(malformed, facts)
        await outlet.reply(frame, Fault(Kind.INVALID_REQUEST, malformed.problem), revision)

    async def _handle_unanswered(
        self, message: Notification | Response, frame: bytes | None, outlet: Outlet, facts: Facts
    ) -> None:
        """Handle a notification or response; `frame` is None for a batch member."""
        if facts.transport.mirrors_messages:
            try:
                await self._check_unanswered(message, facts)
            except Refusal as refusal:
                answer = encode_fault(refusal.fault, None, refusal.revision)
                await outlet.reply(answer, refusal.fault, refusal.revision)
                return
        if not await self._handle(message) and self.session_id is not None:
            await self._shared.relay.publish(self.session_id, frame or jsonrpc.encode_message(message))
        await outlet.no_reply()

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
                return self._cancel(params.get("requestId"))
            case Notification("notifications/initialized") if self.session_id is not None:
                try:
                    await self._shared.bus.handle(ConfirmSession(self.session_id))
                except DomainError:
                    return True  # no-op: the session is already confirmed or has ended
        return True

    def _cancel(self, request_id: object) -> bool:
        if not isinstance(request_id, str | int) or isinstance(request_id, bool):
            return True  # malformed: ignored
        running = self._in_flight.get(request_id)
        if running is None:
            return False
        if running.call.method != "initialize":
            running.stop(Outcome.CANCELLED)
        return True

    async def _finish_session(self) -> None:
        await self.drained()
        await self.end()
        if self._on_closed is not None:
            self._on_closed()


def _fault_of_call(running: Running, problem: BaseException) -> Fault | None:
    """Return the fault that a call ends with, None if it was stopped.

    Raises:
        BaseException: the connection or the surrounding task ends, not only the call.
    """
    if isinstance(problem, Fault):
        return problem
    if isinstance(problem, CancelledError):
        if running.call.stopped is not None:
            return None
        if anyio.current_effective_deadline() == -inf:
            raise problem
    if isinstance(problem, GeneratorExit):
        raise problem
    return unexpected(problem, running.call.method)


async def _go_on(task: Task[object]) -> None:
    """Clear the cancellation of a task, by `Running.stop` or by user code, so that it can send its response."""
    if anyio.current_effective_deadline() == -inf:
        return  # the connection is closing
    while task.uncancel():
        pass
    with suppress(CancelledError):
        await sleep(0)  # consumes a cancellation that is still pending
