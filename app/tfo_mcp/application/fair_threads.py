"""FairThreads: blocking work in worker threads, which accounts get in turns.

A thread cannot be stopped from outside. When its call is cancelled the thread is abandoned: the call ends at once, and
the thread keeps its slot until it has ended, so that threads never outnumber the limit. Knows nothing of the work.
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
    """Runs `total` threads at once at most, and `per_account` of them for one account; other work waits."""

    def __init__(self, total: int, per_account: int) -> None:
        self._limiter = FairLimiter(total, per_account)
        self._unlimited: CapacityLimiter | None = None

    async def run(
        self, work: Callable[[], ResultT], on_abandoned: Callable[[], None] | None = None, *, slots: int = 1
    ) -> ResultT:
        """Return what `work` returns; its exceptions are raised here.

        Args:
            on_abandoned: called in the event loop when nobody waits for the thread any more; it makes the work end.
            slots: how many of the threads the work counts for. One account may wait for several in one call only.
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
    """One piece of work. Its slot is released in the event loop, when the thread has ended or was never needed."""

    def __init__(self, work: Callable[[], ResultT], release: Callable[[], None]) -> None:
        self._work = work
        self._release = release
        self._loop: AbstractEventLoop = get_running_loop()
        self._right_to_start = [True]  # taken by the thread, or by the call that gives up before
        self._ended = False
        self._abandoned = False
        self._released = False

    def __call__(self) -> ResultT:
        """Do the work, in the thread."""
        try:
            self._right_to_start.pop()
        except IndexError:
            raise RuntimeError("the call was cancelled before its thread began") from None
        try:
            return self._work()
        finally:
            self._ended = True  # before the look at `_abandoned`, which `settle` sets before it looks at this
            if self._abandoned:
                with suppress(RuntimeError):  # the loop is closed: no slot is needed any more
                    self._loop.call_soon_threadsafe(self._give_back)

    def settle(self) -> bool:
        """Release the slot, now or when the thread ends; return whether the thread still runs."""
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
