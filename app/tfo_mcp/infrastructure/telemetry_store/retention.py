"""Retention: deletes what is too old, and the oldest records while the file is too large.

Runs in the thread that writes. Sizes are those of the blocks in use, since the file keeps free blocks for new records.
Must not know OTLP.
"""

from collections.abc import Callable
from time import monotonic, time_ns

import duckdb
import structlog

from tfo_mcp.infrastructure.telemetry_store.database import TelemetryDatabase, not_written
from tfo_mcp.infrastructure.telemetry_store.tables import TABLES

_log = structlog.get_logger("tfo_mcp.telemetry")
_AGE_SECONDS = 60.0
_SHARE = 0.1
_MOST_ROUNDS = 30


class Retention:
    """Keeps the age and the size of the stored records below their limits.

    Args:
        database: the tables.
        max_age_seconds: maximum age of a record, by its own time.
        max_bytes: maximum size of the file and its write-ahead file.
        now: the time in nanoseconds since 1970.
    """

    def __init__(
        self,
        database: TelemetryDatabase,
        max_age_seconds: float,
        max_bytes: int,
        now: Callable[[], int] = time_ns,
    ) -> None:
        self._database = database
        self._age_ns = int(max_age_seconds * 1e9)
        self._max_bytes = max_bytes
        self._now = now
        self._aged_at = -_AGE_SECONDS
        self.shortened = 0
        """How often records were deleted because of the size."""

    def run(self) -> None:
        """Delete what is too old, at most once a minute, and the oldest records while the file is too large.

        Raises:
            RecordsNotWritten: the database reports an error.
        """
        try:
            if monotonic() - self._aged_at >= _AGE_SECONDS:
                self._aged_at = monotonic()
                self._delete_aged()
            if self._database.used_bytes() > self._max_bytes:
                self._shorten()
        except duckdb.Error as problem:
            raise not_written(problem) from None

    def _delete_aged(self) -> None:
        oldest = max(0, self._now() - self._age_ns)
        with self._database.transaction():
            for table in TABLES:
                self._delete_before(table.name, table.time, oldest)

    def _shorten(self) -> None:
        _log.info("the telemetry store is larger than its limit: its oldest records are deleted", bytes=self._max_bytes)
        self.shortened += 1
        for _ in range(_MOST_ROUNDS):
            if not self._checkpoint() or self._database.used_bytes() <= self._max_bytes * (1 - _SHARE):
                return
            with self._database.transaction():
                for table in TABLES:
                    share = f'SELECT quantile_disc(epoch_ns("{table.time}"), {_SHARE}) FROM {table.name}'
                    ((bound,),) = self._database.change(share)
                    if bound is not None:
                        self._delete_before(table.name, table.time, bound + 1)

    def _checkpoint(self) -> bool:
        """Write the write-ahead file back, which frees the blocks of deleted records; return False if a query runs."""
        try:
            self._database.change("CHECKPOINT")
        except duckdb.TransactionException:
            return False
        return True

    def _delete_before(self, name: str, column: str, time: int) -> None:
        self._database.change(f'DELETE FROM {name} WHERE "{column}" < make_timestamp_ns({time})')
