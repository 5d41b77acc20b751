"""SqlOutbox: events in a database, written with their aggregates or in batches, until they are in the event log.

Stores call `insert_events` in the transaction that changes an aggregate. Processes that share the database also share
the outbox: the holder of a lease drains it, and a killed holder loses the lease within seconds.
"""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, RowMapping, delete, insert, select

from tfo_mcp.application.ports import OutboxBatch, RecordedEvent
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.leases import SqlLease
from tfo_mcp.infrastructure.storage.tables import outbox

_LEASE_SECONDS = 5.0
_NONE = OutboxBatch((), ())


def insert_events(events: Sequence[RecordedEvent], connection: Connection) -> None:
    """Add events to the outbox, in the transaction of the connection."""
    if events:
        connection.execute(insert(outbox), [event._asdict() for event in events])


class SqlOutbox:
    """The outbox in a database.

    Args:
        holder: identifies this process.
    """

    def __init__(self, database: Database, holder: str, lease_seconds: float = _LEASE_SECONDS) -> None:
        self._database = database
        self._lease = SqlLease(database, "outbox", holder, lease_seconds)

    async def put(self, events: Sequence[RecordedEvent]) -> None:
        """Add events in one transaction."""
        await self._database.write(partial(insert_events, events))

    async def oldest(self, limit: int) -> OutboxBatch:
        """Return up to `limit` of the oldest events if this process has the lease or can take it."""
        rows = await self._rows(limit)
        if rows and not self._lease.is_fresh:
            if not await self._lease.acquire():
                return _NONE
            rows = await self._rows(limit)
        return OutboxBatch([_event(row) for row in rows], [row["position"] for row in rows])

    async def remove(self, batch: OutboxBatch) -> None:
        """Delete events that are in the event log."""
        await self._database.execute(delete(outbox).where(outbox.c.position.in_(batch.positions)))

    async def release(self) -> None:
        """End the lease."""
        await self._lease.release()

    async def _rows(self, limit: int) -> Sequence[RowMapping]:
        return await self._database.rows(select(outbox).order_by(outbox.c.position).limit(limit))


def _event(row: RowMapping) -> RecordedEvent:
    return RecordedEvent(*(row[name] for name in RecordedEvent._fields))
