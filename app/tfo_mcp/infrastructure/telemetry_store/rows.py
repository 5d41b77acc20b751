"""Rows for the tables, made from decoded requests: one module per signal makes them, a batch collects them.

Owns what makes a record unusable: then it alone is rejected, and counted for the sender. Must not know the
database.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from tfo_mcp.infrastructure.telemetry_store.tables import NESTED, TABLES, TIMES, Table

MAX_TIME = 2**63 - 2
"""The latest time and the longest duration, in nanoseconds; DuckDB's next one is infinity."""


class UnusableRecord(ValueError):
    """A record cannot be stored; the text says why."""


@dataclass(slots=True)
class RowBatch:
    """Rows as lines of JSON, by table."""

    lines: dict[str, list[bytes]] = field(default_factory=lambda: {table.name: [] for table in TABLES})

    def add(self, table: Table, row: Mapping[str, Any], shared: bytes = b"{") -> None:
        """Add a row; `shared` is the beginning of its line, from `shared_columns`."""
        self.lines[table.name].append(shared + to_json(row, inf_nan_mode="strings")[1:])


class FlatRowBatch(RowBatch):
    """Rows as ClickHouse reads them: times as seconds, lists of records as columns of lists such as `Events.Name`."""

    def add(self, table: Table, row: Mapping[str, Any], shared: bytes = b"{") -> None:
        """Add a row."""
        nested = NESTED[table.name]
        flat = {name: _written(name, value) for name, value in row.items() if name not in nested}
        for name, members in nested.items():
            records = row.get(name, ())
            flat |= {f"{name}.{member}": [_written(member, record[member]) for record in records] for member in members}
        super().add(table, flat, shared)


@dataclass(slots=True)
class Rejections:
    """Records of one request that cannot be stored, counted by reason."""

    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """The number of records."""
        return self.reasons.total()

    def message(self) -> str:
        """Return a sentence for the sender; empty if nothing was rejected."""
        return "; ".join(f"{reason} ({count})" for reason, count in self.reasons.most_common(5))


def _written(name: str, value: Any) -> Any:
    """Return the value of a column; a time has ten digits of seconds, so that it is read as such in every version."""
    return f"{value // 10**9:010}.{value % 10**9:09}" if name in TIMES else value


def shared_columns(row: Mapping[str, Any]) -> bytes:
    """Return the beginning of the lines of rows that share these columns, so that they are encoded once."""
    return to_json(row)[:-1] + b","


def usable_time(time: int) -> int:
    """Return a time in nanoseconds.

    Raises:
        UnusableRecord: it is beyond the range of the tables.
    """
    if time > MAX_TIME:
        raise UnusableRecord("a time is later than the year 2262")
    return time


def hex_id(value: bytes, size: int, name: str, *, required: bool) -> str:
    """Return an id as hexadecimal digits; an absent or invalid optional one is empty.

    Raises:
        UnusableRecord: a required id is not `size` bytes long, or zero.
    """
    if len(value) == size and any(value):
        return value.hex()
    if required:
        raise UnusableRecord(f"{name} must be {size} bytes, not all zero")
    return ""
