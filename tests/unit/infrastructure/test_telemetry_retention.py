"""Retention of the telemetry store: by age, and by size."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tfo_mcp.infrastructure.telemetry_store.database import TelemetryDatabase
from tfo_mcp.infrastructure.telemetry_store.retention import Retention

NOW = 1_800_000_000 * 10**9
HOUR = 3600 * 10**9


@pytest.fixture
def database(tmp_path: Path) -> Iterator[TelemetryDatabase]:
    opened = TelemetryDatabase(tmp_path / "private" / "store.duckdb")
    yield opened
    opened.close()


def store(database: TelemetryDatabase, start: int, count: int) -> None:
    """Store spans that begin a nanosecond apart, in the order of time, with values that are hard to compress."""
    moment = f"make_timestamp_ns({start} + number)"
    database.change(
        f"INSERT INTO otel_traces (Timestamp, TraceId, SpanName) "
        f"SELECT {moment}, md5(number::VARCHAR), sha256((number + {start})::VARCHAR) FROM range({count}) AS r(number)"
    )
    database.change(
        f"INSERT INTO otel_traces_trace_id_ts SELECT md5(number::VARCHAR), {moment}, {moment} "
        f"FROM range({count}) AS r(number)"
    )


def times(database: TelemetryDatabase) -> list[int]:
    return [row[0] for row in database.change("SELECT epoch_ns(Timestamp) FROM otel_traces ORDER BY 1")]


def test_records_older_than_the_limit_are_deleted(database: TelemetryDatabase) -> None:
    for age in (25, 23, 0):
        store(database, NOW - age * HOUR, 1)
    Retention(database, 24 * 3600, 2**40, lambda: NOW).run()
    assert times(database) == [NOW - 23 * HOUR, NOW]
    assert database.change("SELECT count(*) FROM otel_traces_trace_id_ts") == [(2,)]


def test_the_oldest_records_are_deleted_while_the_file_is_too_large(database: TelemetryDatabase) -> None:
    for number in range(6):
        store(database, NOW + number * HOUR, 60_000)
    database.change("CHECKPOINT")
    full = database.used_bytes()
    limit = full // 2
    retention = Retention(database, 1e9, limit, lambda: NOW)
    retention.run()
    kept = times(database)
    assert database.used_bytes() <= limit
    assert retention.shortened == 1
    assert 0 < len(kept) < 360_000
    assert kept[-1] == NOW + 5 * HOUR + 59_999
    assert kept[0] > NOW + HOUR


def test_clearing_empties_every_table(database: TelemetryDatabase) -> None:
    store(database, NOW, 10)
    database.clear()
    assert set(database.positions().values()) == {-1}
