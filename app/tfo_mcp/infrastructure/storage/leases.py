"""SqlLease: lets one process at a time do a task for all that share a database. Knows no task."""

from collections.abc import Callable
from time import monotonic

from sqlalchemy import Connection, insert, or_, update
from sqlalchemy.exc import IntegrityError

from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.tables import DatabaseTime, leases


class SqlLease:
    """A lease, which ends by itself if its holder does not renew it.

    Args:
        name: the task.
        holder: identifies this process.
        seconds: how long the lease lasts, by the clock of the database.
    """

    def __init__(
        self, database: Database, name: str, holder: str, seconds: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._clock = clock
        self._fresh_until = float("-inf")

    @property
    def is_fresh(self) -> bool:
        """Whether this process has the lease for at least half of its time."""
        return self._clock() < self._fresh_until

    async def acquire(self) -> bool:
        """Take or renew the lease; return False if another process has it.

        Raises:
            StorageUnavailable: the database cannot be written.
        """
        started = self._clock()
        try:
            acquired = await self._database.write(self._take)
        except IntegrityError:  # another process has inserted the row
            acquired = False
        self._fresh_until = started + self._seconds / 2 if acquired else float("-inf")
        return acquired

    async def release(self) -> None:
        """End the lease; a no-op if another process has it.

        Raises:
            StorageUnavailable: the database cannot be written; the lease ends by itself.
        """
        self._fresh_until = float("-inf")
        mine = leases.c.name == self._name, leases.c.holder == self._holder
        await self._database.execute(update(leases).where(*mine).values(until=0.0))

    def _take(self, connection: Connection) -> bool:
        until = DatabaseTime() + self._seconds
        is_free = or_(leases.c.holder == self._holder, leases.c.until < DatabaseTime())
        taken = update(leases).where(leases.c.name == self._name, is_free).values(holder=self._holder, until=until)
        if connection.execute(taken).rowcount:
            return True
        if connection.execute(leases.select().where(leases.c.name == self._name)).first() is not None:
            return False
        connection.execute(insert(leases).values(name=self._name, holder=self._holder, until=until))
        return True
