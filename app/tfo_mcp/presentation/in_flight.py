"""Calls in flight: the calls that run in this process, how they are stopped, and the limit of concurrent calls.

A call is stopped by cancelling its task (docs/adr/0001). A periodic sweep over all calls enforces the time limit,
and reports that quiet calls still run.
Knows no frame and no outlet: the peer sends the responses of stopped calls.
"""

from asyncio import AbstractEventLoop, Task, create_task, current_task, get_running_loop, wait
from collections import deque
from collections.abc import Sized
from dataclasses import dataclass
from time import monotonic

import anyio

from tfo_mcp.application.context import CANCEL_GRACE_SECONDS
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.protocol.call import Call, Outcome

QUIET_SECONDS = 10.0
_UNLIMITED = frozenset({"subscriptions/listen"})
_AT_ONCE = 32  # concurrent calls of one conversation; bounds the results that wait in memory for a slow client
OUT_OF_TURN = _UNLIMITED | {"ping"}
"""Methods that are exempt from the limit of concurrent calls."""


@dataclass(slots=True, eq=False)
class Running:
    """A call in flight with its task. Cancelling the task stops it, so calls need no timers of their own."""

    call: Call
    task: Task[object]
    started: float
    stopped_at: float = 0.0
    report: Task[None] | None = None

    def stop(self, reason: Outcome) -> None:
        """Cancel the task of the call; a no-op if the call was stopped before."""
        if self.call.stopped is None:
            self.call.stopped, self.stopped_at = reason, monotonic()
            self.task.cancel()

    def report_if_quiet(self, now: float) -> None:
        """Send progress if the client waits for it and has heard nothing for a while; a no-op while one is sent."""
        since = now - QUIET_SECONDS
        if self.started < since and (self.report is None or self.report.done()) and self.call.is_quiet(since):
            self.report = create_task(self.call.report_elapsed(round(now - self.started)))

    def settle(self) -> None:
        """Note that the call has ended: it sends nothing but its response from now on."""
        self.call.is_settled = True
        if self.report is not None:
            self.report.cancel()

    async def report_ended(self) -> None:
        """Wait for the end of a report that was being sent when the call ended."""
        if self.report is not None:
            await wait((self.report,))


class Drain:
    """Lets tasks wait until nothing is in flight. `in_flight` is the collection; `look` is called when it shrinks."""

    __slots__ = ("_event", "_in_flight")

    def __init__(self, in_flight: Sized) -> None:
        self._in_flight = in_flight
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        """Wait until the collection is empty."""
        while self._in_flight:
            self._event = self._event or anyio.Event()
            await self._event.wait()

    def look(self) -> None:
        """Wake the waiting tasks if the collection is empty."""
        if self._event is not None and not self._in_flight:
            self._event.set()
            self._event = None


class Turns:
    """Limits the concurrent calls of one conversation (32); further calls wait in order of arrival."""

    __slots__ = ("_running", "_waiting")

    def __init__(self) -> None:
        self._running = 0
        self._waiting: deque[anyio.Event] | None = None

    async def take(self) -> None:
        """Wait for a turn; the caller must return it with `give_back`."""
        if self._running < _AT_ONCE:
            self._running += 1
            return
        if self._waiting is None:
            self._waiting = deque()
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.give_back()
            else:
                self._waiting.remove(turn)
            raise

    def give_back(self) -> None:
        """Return a turn and wake the next waiting call."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._running -= 1


class InFlight:
    """Registry of the calls that run in this process; a periodic sweep stops calls that exceed `limit_seconds`."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._running: set[Running] = set()
        self._lasting: set[Running] = set()
        self._loop: AbstractEventLoop | None = None
        self._drain = Drain(self._running)

    def current_task(self) -> Task[object]:
        """Return the current task. The loop is cached: up to Python 3.11, getting it is a system call."""
        task = current_task(self._loop) if self._loop is not None else None
        if task is None:
            self._loop = get_running_loop()
            task = current_task(self._loop)
        assert task is not None
        return task

    def add(self, running: Running) -> None:
        """Register a call that has started."""
        (self._lasting if running.call.method in _UNLIMITED else self._running).add(running)

    def discard(self, running: Running) -> None:
        """Remove a call that has ended."""
        self._running.discard(running)
        self._lasting.discard(running)
        self._drain.look()

    async def idle(self) -> None:
        """Wait until no call runs, except subscriptions, which have no time limit."""
        await self._drain.wait()

    def __len__(self) -> int:
        return len(self._running)

    def serves(self, session_id: SessionId) -> bool:
        """Return whether a call of the session is in flight."""
        running = (*self._running, *self._lasting)
        return any(one.call.session is not None and one.call.session.id == session_id for one in running)

    def callers(self) -> set[Caller]:
        """Return the callers that have calls in flight."""
        return {running.call.caller for running in (*self._running, *self._lasting)}

    def stop_of(self, caller: Caller) -> None:
        """Stop all calls of a caller whose credentials are no longer valid."""
        for running in [one for one in (*self._running, *self._lasting) if one.call.caller == caller]:
            running.stop(Outcome.REVOKED)

    def stop_all(self) -> None:
        """Stop all calls, except subscriptions, which end themselves when the server stops."""
        for running in list(self._running):
            running.stop(Outcome.SHUTTING_DOWN)

    def report_quiet(self) -> None:
        """Send progress for calls that have sent none for a while: hosts end calls that seem idle."""
        now = monotonic()
        for running in self._running:
            running.report_if_quiet(now)

    def stop_overdue(self) -> None:
        """Stop calls that exceed the time limit, and cancel stopped calls again if they still run after the grace."""
        now = monotonic()
        oldest_allowed, longest_stopped = now - self.limit_seconds, now - CANCEL_GRACE_SECONDS
        for running in [running for running in self._running if running.started < oldest_allowed]:
            running.stop(Outcome.TIMEOUT)
        for running in (*self._running, *self._lasting):
            if running.call.stopped is not None and running.stopped_at < longest_stopped:
                running.task.cancel()
