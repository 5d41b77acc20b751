"""Loop turns: fair scheduling of large amounts of work over iterations ("turns") of the event loop.

A client that sends thousands of tiny frames or requests in one segment gets a small share of each turn, and other
clients are served in between. Work that is small enough runs at once, without this module. Knows no socket and no
message.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic
from weakref import WeakKeyDictionary

_PIECES_PER_ACCOUNT = 2
_TURN_SECONDS = 0.01


class LoopTurns:
    """Runs a few work items of each account in each turn of the loop, in round-robin order of accounts."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: OrderedDict[str, deque[Callable[[], object]]] = OrderedDict()
        self._scheduled = False

    def run_later(self, account: str, work: Callable[[], object]) -> None:
        """Run `work`, which should take a millisecond at most, in a later turn of the loop."""
        queue = self._waiting.get(account)
        if queue is None:
            queue = self._waiting[account] = deque()
        queue.append(work)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    async def wait(self, account: str) -> None:
        """Wait for a later turn of the loop."""
        turn: Future[None] = self._loop.create_future()
        self.run_later(account, lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _run(self) -> None:
        self._scheduled = False
        ends = monotonic() + _TURN_SECONDS
        for account in tuple(self._waiting):
            queue = self._waiting.pop(account)
            try:
                for _ in range(min(len(queue), _PIECES_PER_ACCOUNT)):
                    queue.popleft()()
            finally:
                self._keep(account, queue)
            if monotonic() >= ends:
                break

    def _keep(self, account: str, queue: deque[Callable[[], object]]) -> None:
        """Move an account to the end of the queue, with the work that it has added meanwhile."""
        queue.extend(self._waiting.pop(account, ()))
        if queue:
            self._waiting[account] = queue
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)


_turns: WeakKeyDictionary[AbstractEventLoop, LoopTurns] = WeakKeyDictionary()


def loop_turns() -> LoopTurns:
    """Return the scheduler of the running event loop."""
    loop = get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = LoopTurns(loop)
    return turns
