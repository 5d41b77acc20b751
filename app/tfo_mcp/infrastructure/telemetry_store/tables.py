"""The tables of the store, with the names of the OpenTelemetry Collector's ClickHouse exporter.

Owns the columns, the form in which rows are handed over (JSON lines) and the statements that create and fill the
tables. Times are written as nanoseconds since 1970 and stored as TIMESTAMP_NS. Must not know OTLP or queries.
"""

from collections.abc import Mapping, Sequence

from tfo_mcp.value_objects import value_object

SCHEMA_VERSION = 1

_TIME = "TIMESTAMP_NS"
_MAP = "MAP(VARCHAR, VARCHAR)"
_EVENTS = f"STRUCT(Timestamp {_TIME}, Name VARCHAR, Attributes {_MAP})[]"
_LINKS = f"STRUCT(TraceId VARCHAR, SpanId VARCHAR, TraceState VARCHAR, Attributes {_MAP})[]"
_EXEMPLARS = f"STRUCT(FilteredAttributes {_MAP}, TimeUnix {_TIME}, Value DOUBLE, SpanId VARCHAR, TraceId VARCHAR)[]"
_QUANTILES = "STRUCT(Quantile DOUBLE, Value DOUBLE)[]"
_MEMBERS: Mapping[str, Sequence[str]] = {
    _EVENTS: ("Timestamp", "Name", "Attributes"),
    _LINKS: ("TraceId", "SpanId", "TraceState", "Attributes"),
    _EXEMPLARS: ("FilteredAttributes", "TimeUnix", "Value", "SpanId", "TraceId"),
    _QUANTILES: ("Quantile", "Value"),
}
"""The members of the records of which a column is a list, by its type."""


@value_object
class Table:
    """A table: its name, the types of its columns by name, and the column that retention compares."""

    name: str
    columns: Mapping[str, str]
    time: str

    def creation(self) -> str:
        """Return the statement that creates the table."""
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns})"

    def insertion(self, path: str) -> str:
        """Return the statement that inserts the rows of a file of JSON lines."""
        read = ", ".join(f"\"{name}\": '{_read_type(kind)}'" for name, kind in self.columns.items())
        chosen = ", ".join(_converted(name, kind) for name, kind in self.columns.items())
        source = f"read_json('{path}', format = 'newline_delimited', maximum_object_size = {MAX_ROW_BYTES}"
        return f"INSERT INTO {self.name} SELECT {chosen} FROM {source}, columns = {{{read}}})"


MAX_ROW_BYTES = 64 * 1024 * 1024
"""Maximum bytes of one row as JSON."""


def _read_type(kind: str) -> str:
    return kind.replace(_TIME, "BIGINT")


def _converted(name: str, kind: str) -> str:
    """Return the expression that makes a column of the table from the column of the file."""
    if kind == _TIME:
        return f'make_timestamp_ns("{name}")'
    if kind in (_EVENTS, _EXEMPLARS):
        packed = ", ".join(
            f"{field}: {f'make_timestamp_ns(e.{field})' if field in ('Timestamp', 'TimeUnix') else f'e.{field}'}"
            for field in _MEMBERS[kind]
        )
        return f'list_transform("{name}", lambda e: {{{packed}}})'
    return f'"{name}"'


TRACES = Table(
    "otel_traces",
    {
        "Timestamp": _TIME,
        "TraceId": "VARCHAR",
        "SpanId": "VARCHAR",
        "ParentSpanId": "VARCHAR",
        "TraceState": "VARCHAR",
        "SpanName": "VARCHAR",
        "SpanKind": "VARCHAR",
        "ServiceName": "VARCHAR",
        "ResourceAttributes": _MAP,
        "ScopeName": "VARCHAR",
        "ScopeVersion": "VARCHAR",
        "SpanAttributes": _MAP,
        "Duration": "BIGINT",
        "StatusCode": "VARCHAR",
        "StatusMessage": "VARCHAR",
        "Events": _EVENTS,
        "Links": _LINKS,
    },
    "Timestamp",
)
TRACE_TIMES = Table("otel_traces_trace_id_ts", {"TraceId": "VARCHAR", "Start": _TIME, "End": _TIME}, "End")
LOGS = Table(
    "otel_logs",
    {
        "Timestamp": _TIME,
        "TraceId": "VARCHAR",
        "SpanId": "VARCHAR",
        "TraceFlags": "UTINYINT",
        "SeverityText": "VARCHAR",
        "SeverityNumber": "UTINYINT",
        "ServiceName": "VARCHAR",
        "Body": "VARCHAR",
        "ResourceSchemaUrl": "VARCHAR",
        "ResourceAttributes": _MAP,
        "ScopeSchemaUrl": "VARCHAR",
        "ScopeName": "VARCHAR",
        "ScopeVersion": "VARCHAR",
        "ScopeAttributes": _MAP,
        "LogAttributes": _MAP,
        "EventName": "VARCHAR",
    },
    "Timestamp",
)
_METRIC: Mapping[str, str] = {
    "ResourceAttributes": _MAP,
    "ResourceSchemaUrl": "VARCHAR",
    "ScopeName": "VARCHAR",
    "ScopeVersion": "VARCHAR",
    "ScopeAttributes": _MAP,
    "ScopeDroppedAttrCount": "UINTEGER",
    "ScopeSchemaUrl": "VARCHAR",
    "ServiceName": "VARCHAR",
    "MetricName": "VARCHAR",
    "MetricDescription": "VARCHAR",
    "MetricUnit": "VARCHAR",
    "Attributes": _MAP,
    "StartTimeUnix": _TIME,
    "TimeUnix": _TIME,
    "Flags": "UINTEGER",
}
_DISTRIBUTION: Mapping[str, str] = {
    "Count": "UBIGINT",
    "Sum": "DOUBLE",
    "Min": "DOUBLE",
    "Max": "DOUBLE",
    "AggregationTemporality": "INTEGER",
    "Exemplars": _EXEMPLARS,
}
GAUGES = Table("otel_metrics_gauge", {**_METRIC, "Value": "DOUBLE", "Exemplars": _EXEMPLARS}, "TimeUnix")
SUMS = Table(
    "otel_metrics_sum",
    {
        **_METRIC,
        "Value": "DOUBLE",
        "AggregationTemporality": "INTEGER",
        "IsMonotonic": "BOOLEAN",
        "Exemplars": _EXEMPLARS,
    },
    "TimeUnix",
)
HISTOGRAMS = Table(
    "otel_metrics_histogram",
    {**_METRIC, **_DISTRIBUTION, "BucketCounts": "UBIGINT[]", "ExplicitBounds": "DOUBLE[]"},
    "TimeUnix",
)
EXPONENTIAL_HISTOGRAMS = Table(
    "otel_metrics_exponential_histogram",
    {
        **_METRIC,
        **_DISTRIBUTION,
        "Scale": "INTEGER",
        "ZeroCount": "UBIGINT",
        "ZeroThreshold": "DOUBLE",
        "PositiveOffset": "INTEGER",
        "PositiveBucketCounts": "UBIGINT[]",
        "NegativeOffset": "INTEGER",
        "NegativeBucketCounts": "UBIGINT[]",
    },
    "TimeUnix",
)
SUMMARIES = Table(
    "otel_metrics_summary",
    {**_METRIC, "Count": "UBIGINT", "Sum": "DOUBLE", "ValueAtQuantiles": _QUANTILES},
    "TimeUnix",
)
METRICS: Sequence[Table] = (GAUGES, SUMS, HISTOGRAMS, EXPONENTIAL_HISTOGRAMS, SUMMARIES)
TABLES: Sequence[Table] = (TRACES, TRACE_TIMES, LOGS, *METRICS)
NESTED: Mapping[str, Mapping[str, Sequence[str]]] = {
    table.name: {name: _MEMBERS[kind] for name, kind in table.columns.items() if kind in _MEMBERS} for table in TABLES
}
"""The columns of each table that are lists of records, with the members of these."""
TIMES = frozenset(name for table in TABLES for name, kind in table.columns.items() if kind == _TIME)
"""The names of the columns, and of the members of lists, that are times."""
