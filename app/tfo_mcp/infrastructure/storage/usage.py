"""SqlUsageStore: usage in a database, for all processes that share it. Counts are written every few seconds."""

from collections.abc import Callable, Sequence
from datetime import date
from time import time

from sqlalchemy import Connection, select

from tfo_mcp.application.ports import DailyUsage
from tfo_mcp.application.usage_counts import UsageCounts
from tfo_mcp.domain.errors import StorageUnavailable
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.tables import usage
from tfo_mcp.infrastructure.storage.upserts import upsert


class SqlUsageStore:
    """Usage by principal and day."""

    def __init__(self, database: Database, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._counts = UsageCounts(clock)

    def count(self, principal: str, *, calls: int = 0, tokens: int = 0) -> None:
        """Add to the usage of a principal today; `flush` writes it."""
        self._counts.add(principal, calls, tokens)

    async def list(self, since: date, principal: str | None = None) -> Sequence[DailyUsage]:
        """Return the usage since a day, of one principal if given, with what this process has counted."""
        await self.flush()
        latest = select(usage).where(usage.c.day >= since).order_by(usage.c.day.desc(), usage.c.principal)
        if principal is not None:
            latest = latest.where(usage.c.principal == principal)
        return [DailyUsage(**row) for row in await self._database.rows(latest)]

    async def flush(self) -> None:
        """Write the counts since the last time.

        Raises:
            StorageUnavailable: the database cannot be written; the counts are kept.
        """
        counted = self._counts.take()  # in order, so that no two processes wait for each other's rows
        if not counted:
            return

        def change(connection: Connection) -> None:
            rows = [each._asdict() for each in counted]
            connection.execute(upsert(connection, usage, ("calls", "tokens")), rows)

        try:
            await self._database.write(change)
        except StorageUnavailable:
            self._counts.put_back(counted)
            raise
