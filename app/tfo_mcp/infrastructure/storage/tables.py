"""Tables: the columns of the database as statements use them. `migrations` creates them, and a test compares both."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Date, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = MetaData()

api_keys = Table(
    "tfo_api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
    Column("version", Integer, nullable=False),
    Column("change", BigInteger, nullable=False),
    Index("tfo_api_keys_change", "change"),
)
"""One row per key. `change` numbers the change that wrote the row, so that readers fetch the newer rows only."""

key_changes = Table("tfo_key_changes", metadata, Column("last", BigInteger, nullable=False))
"""One row: the number of the last change of `api_keys`. Writers update it first, so that changes commit in order."""

sessions = Table(
    "tfo_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("used", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Index("tfo_sessions_used", "used"),
)
"""One row per session that outlives its connections; `used` is the time of its last use, by the database's clock."""

outbox = Table(
    "tfo_outbox",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("aggregate", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("data", JSON, nullable=False),
    Column("traceparent", Text),
    sqlite_autoincrement=True,
)
"""One row per event that is not in the event log yet. A position is never used again, also in SQLite."""

leases = Table(
    "tfo_leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Double, nullable=False),
)
"""One row per task that one process does at a time; `until` is a time of the database's clock."""

conversations = Table(
    "tfo_conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("used", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("document", JSON, nullable=False),
    Index("tfo_conversations_owner", "owner", "used"),
    Index("tfo_conversations_used", "used"),
)
"""One row per conversation with a language model; `summary` is what a list shows, without the messages."""

audit = Table(
    "tfo_audit",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", Double, nullable=False),
    Column("event", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index("tfo_audit_time", "time"),
)
"""One row per entry of the audit log; `details` holds the other members of its line in the file."""

quotas = Table(
    "tfo_quotas",
    metadata,
    Column("name", Text, primary_key=True),
    Column("full_at", Double, nullable=False),
)
"""One row per quota that is not full: when it will be, by the database's clock."""

usage = Table(
    "tfo_usage",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Index("tfo_usage_day", "day"),
)
"""One row per principal and day (UTC)."""


class DatabaseTime(FunctionElement[float]):
    """The time of the database's clock, in seconds since 1970: the same for all processes that share it."""

    inherit_cache = True
    type = Double()


@compiles(DatabaseTime, "sqlite")
def _sqlite_time(_element: DatabaseTime, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(DatabaseTime, "postgresql")
def _postgresql_time(_element: DatabaseTime, _compiler: Any, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"
