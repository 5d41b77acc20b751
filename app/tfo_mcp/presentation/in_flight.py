"""What is in flight: the calls that run in this process, how each is stopped, and how many run at once.

A call is stopped by cancelling its task (docs/adr/0001); time limits are found by one look at all calls. Knows no frame
and no outlet: what a client is told of it is the peer's affair.
"""

from asyncio import AbstractEventLoop, Task, current_task, get_running_loop
from collections import deque
from dataclasses import dataclass
from time import monotonic

import anyio

from tfo_mcp.application.context import CANCEL_GRACE_SECONDS
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.protocol.call import Call, Outcome

_UNLIMITED = frozenset({"subscriptions/listen"})
_AT_ONCE = 32  # so many results of one client may wait in memory until it has taken them
OUT_OF_TURN = _UNLIMITED | {"ping"}
"""Methods whose requests wait for no other's end."""


@dataclass(slots=True, eq=False)
class Running:
    """A call in flight. It is stopped by cancelling its task, which costs nothing until it happens."""

    call: Call
    task: Task[object]
    started: float
    stopped_at: float = 0.0

    def stop(self, reason: Outcome) -> None:
        """Interrupt the call, once."""
        if self.call.stopped is None:
            self.call.stopped, self.stopped_at = reason, monotonic()
            self.task.cancel()


class Turns:
    """Lets so many calls of one conversation run at once; the others wait, in the order in which they came."""

    __slots__ = ("_running", "_waiting")

    def __init__(self) -> None:
        self._running = 0
        self._waiting: deque[anyio.Event] | None = None

    async def take(self) -> None:
        """Wait for a turn, which is to be given back."""
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
        """Let the next one run."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._running -= 1


class InFlight:
    """Every call that runs in this process, so that one look now and then finds those that take too long."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self._running: set[Running] = set()
        self._lasting: set[Running] = set()
        self._loop: AbstractEventLoop | None = None
        self._idle: anyio.Event | None = None

    def current_task(self) -> Task[object]:
        """Return the task that runs. To ask for the loop each time is a system call, up to Python 3.11."""
        task = current_task(self._loop) if self._loop is not None else None
        if task is None:
            self._loop = get_running_loop()
            task = current_task(self._loop)
        assert task is not None
        return task

    def add(self, running: Running) -> None:
        """A call has begun."""
        (self._lasting if running.call.method in _UNLIMITED else self._running).add(running)

    def discard(self, running: Running) -> None:
        """A call has ended."""
        self._running.discard(running)
        self._lasting.discard(running)
        if self._idle is not None and not self._running:
            self._idle.set()
            self._idle = None

    async def idle(self) -> None:
        """Wait until nothing runs but what has no limit."""
        while self._running:
            self._idle = self._idle or anyio.Event()
            await self._idle.wait()

    def __len__(self) -> int:
        return len(self._running)

    def serves(self, session_id: SessionId) -> bool:
        """Return whether a call of a session runs."""
        running = (*self._running, *self._lasting)
        return any(one.call.session is not None and one.call.session.id == session_id for one in running)

    def callers(self) -> set[Caller]:
        """Return who has calls running."""
        return {running.call.caller for running in (*self._running, *self._lasting)}

    def stop_of(self, caller: Caller) -> None:
        """Interrupt the calls of one whose credentials are no longer good."""
        for running in [one for one in (*self._running, *self._lasting) if one.call.caller == caller]:
            running.stop(Outcome.REVOKED)

    def stop_all(self) -> None:
        """Interrupt every call but those that end with the server anyway."""
        for running in list(self._running):
            running.stop(Outcome.SHUTTING_DOWN)

    def stop_overdue(self) -> None:
        """Interrupt the calls that have run for longer than the limit, and again those that go on all the same."""
        now = monotonic()
        oldest_allowed, longest_stopped = now - self.limit_seconds, now - CANCEL_GRACE_SECONDS
        for running in [running for running in self._running if running.started < oldest_allowed]:
            running.stop(Outcome.TIMEOUT)
        for running in (*self._running, *self._lasting):
            if running.call.stopped is not None and running.stopped_at < longest_stopped:
                running.task.cancel()
