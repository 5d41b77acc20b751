"""FairLimiter: a concurrency limit that accounts share fairly.

Waiting work starts round-robin by account. A client with a thousand requests therefore delays another client by one
work item, not by a thousand. Adapters that work in threads or processes use the limiter. Since all callers share the
adapters, the account comes from the context of the call (`current_account`).
"""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import anyio

from tfo_mcp.domain.accounts import OWNER_ACCOUNT

current_account: ContextVar[str] = ContextVar("current_account", default=OWNER_ACCOUNT)
"""The account of the call that the current task serves; the process owner's account outside of calls."""


class FairLimiter:
    """Allows `total` concurrent work items, and `per_account` of them for one account.

    The process owner is limited by `total` only.
    """

    def __init__(self, total: int, per_account: int) -> None:
        self._total = total
        self._per_account = per_account
        self._running: dict[str, int] = {}
        self._count = 0
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, account: str | None = None) -> AsyncIterator[None]:
        """Wait for a slot of an account, the current one by default, and hold it until the context exits."""
        account = await self.acquire(account)
        try:
            yield
        finally:
            self.release(account)

    async def acquire(self, account: str | None = None) -> str:
        """Wait for a slot of an account, the current one by default, and return the account for `release`."""
        account = account or current_account.get()
        await self._acquire(account)
        return account

    def _may_run(self, account: str) -> bool:
        limit = self._total if account == OWNER_ACCOUNT else self._per_account
        return self._count < self._total and self._running.get(account, 0) < limit

    def _start(self, account: str) -> None:
        self._count += 1
        self._running[account] = self._running.get(account, 0) + 1

    async def _acquire(self, account: str) -> None:
        if account not in self._waiting and self._may_run(account):
            self._start(account)
            return
        started = anyio.Event()
        queue = self._waiting.setdefault(account, deque())
        queue.append(started)
        try:
            await started.wait()
        except BaseException:
            if started.is_set():
                self.release(account)
            else:
                self._forget(account, started)
            raise

    def release(self, account: str) -> None:
        """Release a slot of an account and start waiting work."""
        self._count -= 1
        self._running[account] -= 1
        if not self._running[account]:
            del self._running[account]
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Start waiting work that fits the limits, one item per account in turn."""
        found = True
        while found:
            found = False
            for account in tuple(self._waiting):
                if not self._may_run(account):
                    continue
                self._start(account)
                queue = self._waiting[account]
                started = queue.popleft()
                self._waiting.move_to_end(account)
                if not queue:
                    del self._waiting[account]
                started.set()
                found = True

    def _forget(self, account: str, started: anyio.Event) -> None:
        queue = self._waiting[account]
        queue.remove(started)
        if not queue:
            del self._waiting[account]
