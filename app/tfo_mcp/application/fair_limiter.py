"""FairLimiter: a limit on work at once that accounts share in turns.

Waiting work is started round robin by account, so that a client with a thousand requests delays another client by one
piece of work, not by a thousand. Below it stand the adapters that do the work, in threads or processes; the account
comes from the call that runs (`current_account`), since those adapters are shared by all callers.
"""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import anyio

from tfo_mcp.domain.accounts import OWNER_ACCOUNT

current_account: ContextVar[str] = ContextVar("current_account", default=OWNER_ACCOUNT)
"""The account of the call that this task serves; the owner's outside of calls."""


class FairLimiter:
    """Lets `total` pieces of work run at once, and `per_account` of them for one account.

    The owner of the process is held to `total` only.
    """

    def __init__(self, total: int, per_account: int) -> None:
        self._total = total
        self._per_account = per_account
        self._running: dict[str, int] = {}
        self._count = 0
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, account: str | None = None) -> AsyncIterator[None]:
        """Wait for a turn of an account, the current one by default, and hold it until the context is left."""
        account = await self.acquire(account)
        try:
            yield
        finally:
            self.release(account)

    async def acquire(self, account: str | None = None) -> str:
        """Wait for a turn of an account, the current one by default, and return the account for `release`."""
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
        """Give a turn of an account back."""
        self._count -= 1
        self._running[account] -= 1
        if not self._running[account]:
            del self._running[account]
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Start what may run, one piece of each account in turn."""
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
