"""The shape of a database: which tables hold telemetry, and how their columns make the columns of the queries.

Three shapes are known: OpenTelemetry's ClickHouse exporter with maps, the same with JSON columns, and TelemetryFlow's
own tables. The shape is read from `system.columns`, per signal and column: a database may have some signals only, and
columns that other versions of the exporter lack. Must not know queries.
"""

from collections.abc import Mapping, Sequence

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.infrastructure.clickhouse.metric_sources import POINT_COLUMNS, metric_source
from tfo_mcp.infrastructure.clickhouse.sources import (
    MAP,
    Columns,
    SignalSource,
    StoredTable,
    no_records,
    source,
    tenant_resource,
    tenant_source,
)
from tfo_mcp.infrastructure.clickhouse.sql import quoted
from tfo_mcp.infrastructure.clickhouse.tables import ROLLUP
from tfo_mcp.value_objects import value_object

TRACE_TIMES = "otel_traces_trace_id_ts"


@value_object
class Schema:
    """The sources of a database by signal, the tables of trace times and minutes if there are, and what it lacks."""

    sources: Mapping[Signal, SignalSource]
    trace_times: str | None
    missing: Sequence[Signal]
    minutes: str | None = None


def schema_of(database: str, tables: Mapping[str, Columns]) -> Schema:
    """Return the schema of a database.

    Args:
        database: its name.
        tables: the columns of its tables by name.
    """
    makers = {Signal.TRACES: _traces, Signal.LOGS: _logs, Signal.METRICS: metric_source}
    sources = {signal: make(database, tables) for signal, make in makers.items()}
    times = f"{quoted(database)}.{quoted(TRACE_TIMES)}" if TRACE_TIMES in tables else None
    minutes = f"{quoted(database)}.{quoted(ROLLUP)}" if ROLLUP in tables else None
    return Schema(sources, times, [signal for signal, found in sources.items() if not found.tables], minutes)


def _traces(database: str, tables: Mapping[str, Columns]) -> SignalSource:
    if "otel_traces" in tables:
        table = StoredTable(database, "otel_traces", tables["otel_traces"])
        return source(table, _exporter_traces(table), "SpanAttributes")
    if "span_id" in tables.get("traces", {}):
        table = StoredTable(database, "traces", tables["traces"])
        return tenant_source(table, _own_traces(table), "SpanAttributes")
    return no_records(_TRACE_TYPES, "SpanAttributes")


def _exporter_traces(table: StoredTable) -> Mapping[str, str]:
    return {
        "Timestamp": table.time("Timestamp"),
        **{name: table.text(name) for name in ("TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName")},
        "SpanKind": table.folded("SpanKind", "SPAN_KIND_"),
        "ServiceName": table.text("ServiceName"),
        "ResourceAttributes": table.map("ResourceAttributes"),
        "ScopeName": table.text("ScopeName"),
        "SpanAttributes": table.map("SpanAttributes"),
        "Duration": table.number("Duration", "Int64"),
        "StatusCode": table.folded("StatusCode", "STATUS_CODE_"),
        "StatusMessage": table.text("StatusMessage"),
        "EventTimes": table.times("Events.Timestamp"),
        "EventNames": table.texts("Events.Name"),
        "EventAttributes": table.maps("Events.Attributes"),
        "LinkTraces": table.texts("Links.TraceId"),
        "LinkSpans": table.texts("Links.SpanId"),
        "LinkAttributes": table.maps("Links.Attributes"),
    }


def _own_traces(table: StoredTable) -> Mapping[str, str]:
    events = f"JSONExtractArrayRaw({table.column('events')})" if table.has("events") else "CAST([], 'Array(String)')"
    attributes = "CAST(JSONExtractKeysAndValues(each, 'attributes', 'String'), 'Map(String, String)')"
    return {
        "Timestamp": table.time("timestamp"),
        "TraceId": table.text("trace_id"),
        "SpanId": table.text("span_id"),
        "ParentSpanId": table.text("parent_span_id"),
        "TraceState": "''",
        "SpanName": table.text("span_name"),
        "SpanKind": table.folded("span_kind", "SPAN_KIND_"),
        "ServiceName": table.text("service_name"),
        "ResourceAttributes": tenant_resource(table),
        "ScopeName": table.text("scope_name"),
        "SpanAttributes": table.map("span_attributes"),
        "Duration": table.number("duration_ns", "Int64"),
        "StatusCode": table.folded("status_code", "STATUS_CODE_"),
        "StatusMessage": table.text("status_message"),
        "EventTimes": f"arrayMap(each -> toUnixTimestamp64Nano({table.time('timestamp')}), {events})",
        "EventNames": f"arrayMap(each -> JSONExtractString(each, 'name'), {events})",
        "EventAttributes": f"arrayMap(each -> {attributes}, {events})",
        "LinkTraces": "CAST([], 'Array(String)')",
        "LinkSpans": "CAST([], 'Array(String)')",
        "LinkAttributes": "CAST([], 'Array(Map(String, String))')",
    }


def _logs(database: str, tables: Mapping[str, Columns]) -> SignalSource:
    if "otel_logs" in tables:
        table = StoredTable(database, "otel_logs", tables["otel_logs"])
        texts = ("ServiceName", "Body", "SeverityText", "TraceId", "SpanId", "ScopeName", "EventName")
        columns = {
            "Timestamp": table.time("Timestamp"),
            **{name: table.text(name) for name in texts},
            "SeverityNumber": table.number("SeverityNumber", "UInt8"),
            "LogAttributes": table.map("LogAttributes"),
            "ResourceAttributes": table.map("ResourceAttributes"),
        }
        return source(table, columns, "LogAttributes")
    if "body" in tables.get("logs", {}):
        table = StoredTable(database, "logs", tables["logs"])
        return tenant_source(table, _own_logs(table), "LogAttributes")
    return no_records(_LOG_TYPES, "LogAttributes")


def _own_logs(table: StoredTable) -> Mapping[str, str]:
    return {
        "Timestamp": table.time("timestamp"),
        "ServiceName": table.text("service_name"),
        "Body": table.text("body"),
        "SeverityText": table.text("severity_text"),
        "TraceId": table.text("trace_id"),
        "SpanId": table.text("span_id"),
        "ScopeName": table.text("scope_name"),
        "EventName": "''",
        "SeverityNumber": table.number("severity_number", "UInt8"),
        "LogAttributes": table.map("log_attributes"),
        "ResourceAttributes": tenant_resource(table),
    }


_TRACE_TYPES: Mapping[str, str] = {
    "Timestamp": "DateTime64(9)",
    **dict.fromkeys(("TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind"), "String"),
    **dict.fromkeys(("ServiceName", "ScopeName", "StatusCode", "StatusMessage"), "String"),
    "ResourceAttributes": MAP,
    "SpanAttributes": MAP,
    "Duration": "Int64",
    "EventTimes": "Array(Int64)",
    "EventNames": "Array(String)",
    "EventAttributes": f"Array({MAP})",
    "LinkTraces": "Array(String)",
    "LinkSpans": "Array(String)",
    "LinkAttributes": f"Array({MAP})",
}
_LOG_TYPES: Mapping[str, str] = {
    "Timestamp": "DateTime64(9)",
    **dict.fromkeys(("ServiceName", "Body", "SeverityText", "TraceId", "SpanId", "ScopeName", "EventName"), "String"),
    "SeverityNumber": "UInt8",
    "LogAttributes": MAP,
    "ResourceAttributes": MAP,
}
COLUMNS: Mapping[Signal, Sequence[str]] = {
    Signal.TRACES: tuple(_TRACE_TYPES),
    Signal.LOGS: tuple(_LOG_TYPES),
    Signal.METRICS: POINT_COLUMNS,
}
"""The columns of the sources by signal, in every shape."""
