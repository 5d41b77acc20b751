"""The tables that this server creates in a ClickHouse if it may write: those of OpenTelemetry's exporter, and a rollup.

Owns the statements. The columns are given by name with the types of the embedded store, which are translated. Must not
know OTLP or queries.
"""

from collections.abc import Mapping, Sequence

from tfo_mcp.infrastructure.clickhouse.sql import quoted
from tfo_mcp.value_objects import value_object

COMMENT = "tfo-mcp"
"""The comment of the tables that this server has created, and may change."""
ROLLUP = "tfo_mcp_requests_minute"
"""Requests, errors, spans and durations of each service and minute."""
REQUEST = "(SpanKind IN ('Server', 'Consumer') OR ParentSpanId = '')"
_TYPES: Mapping[str, str] = {
    "VARCHAR": "String",
    "TIMESTAMP_NS": "DateTime64(9)",
    "MAP(VARCHAR, VARCHAR)": "Map(LowCardinality(String), String)",
    "BOOLEAN": "Bool",
    "DOUBLE": "Float64",
    "INTEGER": "Int32",
    "BIGINT": "Int64",
    "UTINYINT": "UInt8",
    "UINTEGER": "UInt32",
    "UBIGINT": "UInt64",
}
_FEW_VALUES = frozenset(
    {"ServiceName", "SpanName", "SpanKind", "StatusCode", "SeverityText", "MetricName", "MetricUnit"}
)
_ORDERS: Mapping[str, str] = {
    "otel_traces": "ServiceName, SpanName, toDateTime(Timestamp)",
    "otel_traces_trace_id_ts": "TraceId, Start",
    "otel_logs": "ServiceName, toDateTime(Timestamp)",
}
_METRIC_ORDER = "ServiceName, MetricName, toUnixTimestamp64Nano(TimeUnix)"
_INDEXED = "INDEX trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1"
_REMEMBERED_INSERTS = 1000  # of each table: an insert that is repeated is recognized among the latest ones
_ROLLUP_COLUMNS = (
    "Minute DateTime, ServiceName LowCardinality(String), First SimpleAggregateFunction(min, DateTime64(9)), "
    "Last SimpleAggregateFunction(max, DateTime64(9)), Requests SimpleAggregateFunction(sum, UInt64), "
    "Errors SimpleAggregateFunction(sum, UInt64), Spans SimpleAggregateFunction(sum, UInt64), "
    "Durations AggregateFunction(quantilesTDigest(0.5, 0.95), Int64)"
)
ROLLUP_FIGURES = (
    f"min(Timestamp) AS First, max(Timestamp) AS Last, countIf({REQUEST}) AS Requests, "
    f"countIf({REQUEST} AND StatusCode = 'Error') AS Errors, count() AS Spans, "
    f"quantilesTDigestStateIf(0.5, 0.95)(Duration, {REQUEST}) AS Durations"
)
"""The figures of a minute, of the columns of spans."""


@value_object
class WrittenTable:
    """A table: its name, its columns with the types of the embedded store, and the column of its records' time."""

    name: str
    columns: Mapping[str, str]
    time: str

    def creation(self, database: str, max_age_seconds: float) -> str:
        """Return the statement that creates the table, whose records are deleted at an age."""
        columns = [f"{quoted(name)} {_type(name, kind)}" for name, kind in self.columns.items()]
        if self.name in ("otel_traces", "otel_logs"):
            columns.append(_INDEXED)
        return (
            f"CREATE TABLE IF NOT EXISTS {quoted(database)}.{quoted(self.name)} ({', '.join(columns)}) "
            f"ENGINE = MergeTree PARTITION BY toDate({self.time}) ORDER BY ({_ORDERS.get(self.name, _METRIC_ORDER)}) "
            f"{_expiry(self.time, max_age_seconds)} {_SETTINGS}"
        )


_SETTINGS = f"SETTINGS non_replicated_deduplication_window = {_REMEMBERED_INSERTS} COMMENT '{COMMENT}'"


def rollup_creation(database: str, max_age_seconds: float) -> Sequence[str]:
    """Return the statements that create the rollup, which ClickHouse fills from inserted spans."""
    table = f"{quoted(database)}.{quoted(ROLLUP)}"
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({_ROLLUP_COLUMNS}) ENGINE = AggregatingMergeTree "
        f"PARTITION BY toDate(Minute) ORDER BY (ServiceName, Minute) {_expiry('Minute', max_age_seconds)} {_SETTINGS}",
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {quoted(database)}.{quoted(ROLLUP + '_mv')} TO {table} AS "
        f"SELECT toStartOfMinute(toDateTime(Timestamp)) AS Minute, ServiceName, {ROLLUP_FIGURES} "
        f"FROM {quoted(database)}.otel_traces GROUP BY Minute, ServiceName",
    )


def new_age(database: str, name: str, time: str, max_age_seconds: float) -> str:
    """Return the statement that changes the age at which rows of a table are deleted, by their column `time`."""
    return f"ALTER TABLE {quoted(database)}.{quoted(name)} MODIFY {_expiry(time, max_age_seconds)}"


def _expiry(time: str, max_age_seconds: float) -> str:
    return f"TTL toDateTime({time}) + toIntervalSecond({int(max_age_seconds)})"


def _type(name: str, kind: str) -> str:
    """Return the type of a column: `STRUCT(A X, B Y)[]` is nested, `X[]` an array."""
    if kind.startswith("STRUCT("):
        members = [member.partition(" ") for member in _split(kind.removeprefix("STRUCT(").removesuffix(")[]"))]
        return f"Nested ({', '.join(f'{member} {_type(member, inner)}' for member, _, inner in members)})"
    if kind.endswith("[]"):
        return f"Array({_TYPES[kind.removesuffix('[]')]})"
    return "LowCardinality(String)" if name in _FEW_VALUES else _TYPES[kind]


def _split(members: str) -> list[str]:
    """Return the members of a struct, which are separated by commas outside of parentheses."""
    found, depth = [""], 0
    for character in members:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [member.strip() for member in found]
