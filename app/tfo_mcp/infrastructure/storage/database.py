"""Database: runs work on connections, each within a deadline, and notices when the database is unavailable.

Every failure of the database becomes StorageUnavailable. After one, further work is refused at once, and one attempt in
each half second finds out whether the outage is over. Reading and writing fail separately, as on a full disk. Knows no
table but the version of the schema.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tfo_mcp.application.breaker import Breaker
from tfo_mcp.domain.errors import StorageUnavailable
from tfo_mcp.infrastructure.storage import schema
from tfo_mcp.infrastructure.storage.engines import CHANGES, failures

ResultT = TypeVar("ResultT")
_CLOSE_SECONDS = 1.0
_PAUSE_SECONDS = 0.5  # between attempts during an outage
_log = structlog.get_logger("tfo_mcp.storage")


class _SchemaMismatchError(Exception):
    """The tables do not fit this version of the program; the message says what to do."""


class Database:
    """A database, which need not be reachable yet.

    Args:
        timeout_seconds: maximum time of one piece of work, with connecting and waiting for others.
        schema_is_known: whether the tables are known to fit; otherwise the first work checks that.
    """

    def __init__(self, engine: AsyncEngine, timeout_seconds: float, *, schema_is_known: bool = False) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(**{CHANGES: True})
        self._timeout = timeout_seconds
        self._schema_is_known = schema_is_known
        self._reading, self._writing = (Breaker(1, _PAUSE_SECONDS) for _ in range(2))
        self._tasks: set[asyncio.Task[Any]] = set()

    def works(self) -> bool:
        """Return whether the last attempts to read and to write succeeded."""
        return not (self._reading.is_open or self._writing.is_open)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        """Return the result of work that changes nothing.

        Raises:
            StorageUnavailable: the database failed, or did not answer in time.
        """
        return await self._attempt(self._reading, lambda: self._work(self._engine, work))

    async def write(self, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        """Return the result of work in a transaction, which is rolled back if the work raises.

        Raises:
            StorageUnavailable: the database failed, or did not answer in time. The transaction may be committed if the
                connection was lost at the end.
        """
        return await self._attempt(self._writing, lambda: self._work(self._writing_engine, work))

    async def aclose(self) -> None:
        """Close all connections, within a second."""
        with anyio.move_on_after(_CLOSE_SECONDS):
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._engine.dispose()

    async def _work(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        async with engine.begin() as connection:
            if not self._schema_is_known:
                problem = (await connection.run_sync(schema.state_of)).problem
                if problem is not None:
                    raise _SchemaMismatchError(problem)
                self._schema_is_known = True
            return await work(connection)

    async def _attempt(self, breaker: Breaker, work: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        if not breaker.permits():
            raise StorageUnavailable("it failed a moment ago")
        try:
            result = await self._in_time(work())
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

    async def _in_time(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Return the result of work in a task of its own: cancelled work may have to wait for the database, too.

        Raises:
            TimeoutError: the work takes too long.
        """
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            raise TimeoutError
        return task.result()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # of work that nobody waits for any more


def reason_of(problem: BaseException) -> str:
    """Return why the database failed, for operators; without statements, parameters and the URL."""
    if isinstance(problem, DBAPIError) and problem.orig is not None:
        problem = problem.orig
    if isinstance(problem, TimeoutError):
        return "it does not answer in time"
    if isinstance(problem, OSError):
        return problem.strerror or str(problem)
    lines = str(problem).splitlines()
    return lines[0].rpartition(">: ")[2] if lines else type(problem).__name__
