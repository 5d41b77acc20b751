"""FairThreads: runs blocking work in worker threads that accounts share fairly.

A thread cannot be stopped from outside. If its call is cancelled, the thread is abandoned: the call ends immediately,
but the thread keeps its slot until it finishes, so that the number of threads stays within the limit.
"""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from tfo_mcp.application.fair_limiter import FairLimiter

ResultT = TypeVar("ResultT")


class FairThreads:
    """Runs at most `total` threads, and `per_account` of them for one account; further work waits."""

    def __init__(self, total: int, per_account: int) -> None:
        self._limiter = FairLimiter(total, per_account)
        self._unlimited: CapacityLimiter | None = None

    async def run(
        self, work: Callable[[], ResultT], on_abandoned: Callable[[], None] | None = None, *, slots: int = 1
    ) -> ResultT:
        """Run `work` in a thread and return its result; its exceptions propagate.

        Args:
            on_abandoned: called in the event loop if the call is cancelled while the thread runs; should end the work.
            slots: number of threads that the work counts as. At most one call of an account may wait with more than
                one slot, otherwise calls can deadlock.
        """
        self._unlimited = self._unlimited or CapacityLimiter(inf)
        account = await self._limiter.acquire()
        if slots > 1:
            await self._acquire_more(account, slots)
        job = _Job(work, lambda: self._release(account, slots))
        try:
            return await to_thread.run_sync(job, abandon_on_cancel=True, limiter=self._unlimited)
        finally:
            if job.settle() and on_abandoned is not None:
                on_abandoned()

    async def _acquire_more(self, account: str, slots: int) -> None:
        taken = 1
        try:
            while taken < slots:
                await self._limiter.acquire()
                taken += 1
        except BaseException:
            self._release(account, taken)
            raise

    def _release(self, account: str, slots: int) -> None:
        for _ in range(slots):
            self._limiter.release(account)


class _Job(Generic[ResultT]):
    """One work item. Its slot is released in the event loop after the thread has ended or if it never starts."""

    def __init__(self, work: Callable[[], ResultT], release: Callable[[], None]) -> None:
        self._work = work
        self._release = release
        self._loop: AbstractEventLoop = get_running_loop()
        self._right_to_start = [True]  # popped by the thread, or by a cancelled call: whichever is first
        self._ended = False
        self._abandoned = False
        self._released = False

    def __call__(self) -> ResultT:
        """Run the work; called in the thread."""
        try:
            self._right_to_start.pop()
        except IndexError:
            raise RuntimeError("the call was cancelled before its thread started") from None
        try:
            return self._work()
        finally:
            self._ended = True  # set before reading `_abandoned`; `settle` sets and reads in the opposite order
            if self._abandoned:
                with suppress(RuntimeError):  # the loop is closed, so the slot is no longer needed
                    self._loop.call_soon_threadsafe(self._give_back)

    def settle(self) -> bool:
        """Release the slot, now or when the thread ends; return whether the thread is still running."""
        self._abandoned = True
        try:
            self._right_to_start.pop()
            has_ended = True
        except IndexError:
            has_ended = self._ended
        if has_ended:
            self._give_back()
        return not has_ended

    def _give_back(self) -> None:
        if not self._released:
            self._released = True
            self._release()
