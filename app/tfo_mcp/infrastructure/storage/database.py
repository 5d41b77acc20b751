"""Database: runs work in transactions, each within a deadline, and notices when the database is unavailable.

Every failure of the database becomes StorageUnavailable. After one, further work is refused at once, and one attempt in
each half second finds out whether the outage is over. Reading and writing fail separately, as on a full disk. Knows no
table but the version of the schema.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import anyio
import structlog
from sqlalchemy import Connection, Executable, RowMapping
from sqlalchemy.exc import IntegrityError

from tfo_mcp.application.breaker import Breaker
from tfo_mcp.domain.errors import StorageUnavailable
from tfo_mcp.infrastructure.storage import schema
from tfo_mcp.infrastructure.storage.failures import failures, reason_of

ResultT = TypeVar("ResultT")
_CLOSE_SECONDS = 1.0
_PAUSE_SECONDS = 0.5  # between attempts during an outage
_log = structlog.get_logger("tfo_mcp.storage")


class _SchemaMismatchError(Exception):
    """The tables do not fit this version of the program; the message says what to do."""


class Transactions(Protocol):
    """Runs work in transactions on the connections to one database."""

    def run(self, work: Callable[[Connection], ResultT], *, changes: bool) -> Awaitable[ResultT]:
        """Return the result of work in a transaction, which is rolled back if the work raises.

        The work may run in another thread, and twice: it must have no effects but those on the database.
        """

    async def aclose(self) -> None:
        """Close all connections."""


class Database:
    """A database, which need not be reachable yet.

    Args:
        timeout_seconds: maximum time of one piece of work, with connecting and waiting for others.
        schema_is_known: whether the tables are known to fit; otherwise the first work checks that.
    """

    def __init__(self, transactions: Transactions, timeout_seconds: float, *, schema_is_known: bool = False) -> None:
        self._transactions = transactions
        self._timeout = timeout_seconds
        self._schema_is_known = schema_is_known
        self._reading, self._writing = (Breaker(1, _PAUSE_SECONDS) for _ in range(2))
        self._running: set[asyncio.Future[Any]] = set()

    def works(self) -> bool:
        """Return whether the last attempts to read and to write succeeded."""
        return not (self._reading.is_open or self._writing.is_open)

    async def read(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Return the result of work that changes nothing.

        Raises:
            StorageUnavailable: the database failed, or did not answer in time.
        """
        return await self._attempt(self._reading, work, changes=False)

    async def write(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Return the result of work in a transaction, which is rolled back if the work raises.

        Raises:
            StorageUnavailable: the database failed, or did not answer in time. The transaction may be committed if the
                connection was lost at the end.
        """
        return await self._attempt(self._writing, work, changes=True)

    async def rows(self, statement: Executable) -> Sequence[RowMapping]:
        """Return the rows that a SELECT finds.

        Raises:
            StorageUnavailable: as `read`.
        """

        def find(connection: Connection) -> Sequence[RowMapping]:
            return connection.execute(statement).mappings().all()

        return await self.read(find)

    async def execute(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Execute a statement that changes something, once for each of the rows if there are any.

        Raises:
            StorageUnavailable: as `write`.
        """

        def change(connection: Connection) -> None:
            connection.execute(statement, rows)

        await self.write(change)

    async def aclose(self) -> None:
        """Close all connections, within a second."""
        with anyio.move_on_after(_CLOSE_SECONDS):
            if self._running:
                await asyncio.wait(self._running)
            await self._transactions.aclose()

    def _checked(self, work: Callable[[Connection], ResultT]) -> Callable[[Connection], ResultT]:
        """Return work that checks the schema first."""

        def check_and_work(connection: Connection) -> ResultT:
            problem = schema.state_of(connection).problem
            if problem is not None:
                raise _SchemaMismatchError(problem)
            self._schema_is_known = True
            return work(connection)

        return check_and_work

    async def _attempt(self, breaker: Breaker, work: Callable[[Connection], ResultT], *, changes: bool) -> ResultT:
        if not breaker.permits():
            raise StorageUnavailable("it failed a moment ago")
        known = work if self._schema_is_known else self._checked(work)
        try:
            result = await self._in_time(self._transactions.run(known, changes=changes))
        except Exception as problem:
            if isinstance(problem, IntegrityError) or not isinstance(problem, (*failures(), _SchemaMismatchError)):
                breaker.succeeded()  # it is a failure of the work itself
                raise
            reason = reason_of(problem)
            if breaker.failed():
                _log.error("the database cannot be used", reason=reason)
            raise StorageUnavailable(reason) from None
        if breaker.succeeded():
            _log.info("the database can be used again")
        return result

    async def _in_time(self, running: Awaitable[ResultT]) -> ResultT:
        """Return the result of work that runs by itself: cancelled work may have to wait for the database, too.

        Raises:
            TimeoutError: the work takes too long.
        """
        result = asyncio.ensure_future(running)
        self._running.add(result)
        result.add_done_callback(self._forget)
        try:
            done, _ = await asyncio.wait({result}, timeout=self._timeout)
        except asyncio.CancelledError:
            result.cancel()
            raise
        if not done:
            result.cancel()
            raise TimeoutError
        return result.result()

    def _forget(self, result: asyncio.Future[Any]) -> None:
        self._running.discard(result)
        if not result.cancelled():
            result.exception()  # of work that nobody waits for any more
