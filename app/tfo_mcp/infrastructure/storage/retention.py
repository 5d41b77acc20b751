"""Retention: deletes rows that are older than their table's setting allows, in small transactions.

One process in an hour does it for all that share the database: the lease is never renewed.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from time import time
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.leases import SqlLease
from tfo_mcp.infrastructure.storage.tables import api_keys, audit, outbox, quotas, usage
from tfo_mcp.value_objects import value_object

_DAY = 86_400.0
_PERIOD_SECONDS = 3600.0
_DELETED_AT_ONCE = 1000


@value_object
class KeptDays:
    """How many days rows are kept, by table; 0 means forever. Keys count from their end, all others from their time."""

    audit: int
    usage: int
    ended_keys: int
    outbox: int


class StorageRetention:
    """Deletes old rows when it is due.

    Args:
        period_seconds: time between two runs, of whichever process.
    """

    def __init__(
        self,
        database: Database,
        kept: KeptDays,
        period_seconds: float = _PERIOD_SECONDS,
        clock: Callable[[], float] = time,
    ) -> None:
        self._database = database
        self._kept = kept
        self._period_seconds = period_seconds
        self._clock = clock

    async def run(self) -> int:
        """Delete old rows, unless a process has done it in this period; return their number.

        Raises:
            StorageUnavailable: the database cannot be used.
        """
        lease = SqlLease(self._database, "retention", token_hex(8), self._period_seconds)
        if not await lease.acquire():
            return 0
        deleted = 0
        for table, is_old in self._rules():
            while count := await self._database.write(partial(_delete, table, is_old)):
                deleted += count
                if count < _DELETED_AT_ONCE:
                    break
        return deleted

    def _rules(self) -> Sequence[tuple[Table, ColumnElement[bool]]]:
        now, kept = self._clock(), self._kept
        rules: list[tuple[int, Table, Callable[[float], ColumnElement[bool]]]] = [
            (kept.audit, audit, lambda end: audit.c.time < end),
            (kept.usage, usage, lambda end: usage.c.day < datetime.fromtimestamp(end, UTC).date()),
            (kept.ended_keys, api_keys, lambda end: (api_keys.c.revoked < end) | (api_keys.c.expires < end)),
            (kept.outbox, outbox, lambda end: outbox.c.time < end),
            (1, quotas, lambda end: quotas.c.full_at < end),  # full again, as if there were no row
        ]
        return [(table, is_old(now - days * _DAY)) for days, table, is_old in rules if days]


def _delete(table: Table, is_old: ColumnElement[bool], connection: Connection) -> int:
    key: Any = tuple_(*table.primary_key.columns)
    oldest = select(*table.primary_key.columns).where(is_old).limit(_DELETED_AT_ONCE)
    return connection.execute(delete(table).where(key.in_(oldest))).rowcount
