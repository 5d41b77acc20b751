"""Calls: the calls in flight of one conversation. Runs them, stops them and sends their responses.

Owns the ids in use and the number of calls that run at once. Knows no frame of the client and no method.
"""

from asyncio import CancelledError, Task, sleep
from contextlib import suppress
from math import inf
from time import monotonic

import anyio

from tfo_mcp.application.budgets import SMALL_BYTES
from tfo_mcp.domain.errors import DomainError, Kind
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.in_flight import OUT_OF_TURN, Drain, Running, Turns
from tfo_mcp.presentation.jsonrpc import Request, RequestId
from tfo_mcp.presentation.middleware.authentication import NO_LONGER_GOOD
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.presentation.protocol.call import Call, Correlation, Era, Facts, Outcome, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Refusal, encode_fault, fault_of, unexpected


class Calls:
    """The calls of one conversation."""

    def __init__(self, shared: PeerServices, correlation: Correlation) -> None:
        self._shared = shared
        self._correlation = correlation
        self._in_flight: dict[RequestId, Running] = {}
        self._drain = Drain(self._in_flight)
        self._turns = Turns()

    async def serve(self, request: Request, outlet: Outlet, facts: Facts) -> bool:
        """Serve a request and send its response; return whether the client has ended its session by it."""
        try:
            call = await self._open(request, outlet, facts)
        except Refusal as refusal:
            frame = encode_fault(refusal.fault, request.id, refusal.revision)
            await outlet.reply(frame, refusal.fault, refusal.revision)
            return False
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
                call.serve = self._shared.serve
                frame = jsonrpc.encode_result(call.id, await call.serve(call))
            except BaseException as problem:
                fault = _fault_of_call(running, problem)
            finally:
                self._settle(running)
            if running.task.cancelling():
                await _go_on(running.task)
            await running.report_ended()
            if len(frame) > SMALL_BYTES and not self._shared.responses.fits(facts.account, len(frame)):
                fault, frame = fault_of(self._shared.responses.exceeded()), b""
            await self._reply(call, outlet, fault, frame)
        finally:
            if has_turn:
                self._turns.give_back()
        return call.ends_session

    def cancel(self, request_id: object) -> bool:
        """Cancel a call; return False if there is none of that id, which may then run in another process."""
        if not isinstance(request_id, str | int) or isinstance(request_id, bool):
            return True  # malformed: ignored
        running = self._in_flight.get(request_id)
        if running is None:
            return False
        if running.call.method != "initialize":
            running.stop(Outcome.CANCELLED)
        return True

    def cancel_all(self) -> None:
        """Cancel every call in flight."""
        for running in list(self._in_flight.values()):
            running.stop(Outcome.CANCELLED)

    async def drained(self) -> None:
        """Wait until nothing is in flight, except cancelled calls whose id the client has used again."""
        await self._drain.wait()

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
        except DomainError as problem:
            raise Refusal(fault_of(problem)) from None
        except Exception as problem:
            raise Refusal(unexpected(problem, request.method)) from None
        if not self._is_free(request.id):
            raise Refusal(Fault(Kind.INVALID_REQUEST, "A request with this id is still running"), call.revision)
        outlet.begin(call.revision)
        return call

    def _is_free(self, request_id: RequestId) -> bool:
        """Return whether no response with this id is outstanding: a cancelled call gets none, even while it ends."""
        running = self._in_flight.get(request_id)
        return running is None or running.call.stopped is Outcome.CANCELLED

    def _era_of(self, request: Request, facts: Facts) -> Era:
        if self._shared.stateless.claims(request, facts, self._correlation):
            return self._shared.stateless
        return self._shared.handshake

    def _settle(self, running: Running) -> None:
        running.settle()
        self._shared.in_flight.discard(running)
        if self._in_flight.get(running.call.id) is running:  # else a new call has the id of this cancelled one
            del self._in_flight[running.call.id]
        self._drain.look()


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
