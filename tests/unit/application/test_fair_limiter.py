"""FairLimiter: accounts take turns, and cancelled work releases its turn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from tfo_mcp.application.fair_limiter import FairLimiter, current_account

pytestmark = pytest.mark.anyio


class Work:
    """Pieces of work that run until they are released, and the order in which they began."""

    def __init__(self, limiter: FairLimiter) -> None:
        self.limiter = limiter
        self.begun: list[str] = []
        self.end = anyio.Semaphore(0)

    async def run(self, account: str) -> None:
        """Run one piece of work for an account."""
        current_account.set(account)
        async with self.limiter.turn():
            self.begun.append(account)
            await self.end.acquire()


@asynccontextmanager
async def started(work: Work, *accounts: str) -> AsyncIterator[anyio.abc.TaskGroup]:
    """Start work for these accounts, in this order."""
    async with anyio.create_task_group() as tasks:
        for account in accounts:
            tasks.start_soon(work.run, account)
        await anyio.wait_all_tasks_blocked()
        yield tasks
        tasks.cancel_scope.cancel()


async def test_an_account_waits_for_its_own_work_and_not_for_anothers() -> None:
    work = Work(FairLimiter(total=4, per_account=2))
    async with started(work, *["a"] * 50, "b"):
        assert work.begun == ["a", "a", "b"]


async def test_waiting_work_begins_in_turns_by_account() -> None:
    work = Work(FairLimiter(total=1, per_account=1))
    async with started(work, "a", "a", "a", "b", "c"):
        for _ in range(4):
            work.end.release()
            await anyio.wait_all_tasks_blocked()
        assert work.begun == ["a", "a", "b", "c", "a"]


async def test_work_that_is_cancelled_while_it_waits_or_runs_leaves_no_trace() -> None:
    limiter = FairLimiter(total=1, per_account=1)
    work = Work(limiter)
    async with started(work, "a", "a", "b"):
        assert work.begun == ["a"]
    async with started(work, "c"):
        assert work.begun == ["a", "c"]
