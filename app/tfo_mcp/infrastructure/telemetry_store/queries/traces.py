"""Queries of spans: lists of traces, one trace, spans, shapes of errors."""

from collections.abc import Mapping, Sequence

import duckdb

from tfo_mcp.application.ports.telemetry_query import Predicate, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import (
    ErrorShape,
    Span,
    StoredTrace,
    TimeOrder,
    TraceOrder,
    TraceSummary,
)
from tfo_mcp.infrastructure.telemetry_store.queries.logs import MASK
from tfo_mcp.infrastructure.telemetry_store.queries.rows import SPAN_COLUMNS, span_of
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql, Sql

_ORDERS: Mapping[TraceOrder, str] = {
    "slowest": "duration DESC, started DESC, TraceId",
    "latest": "started DESC, TraceId",
    "errors": "errors DESC, started DESC, TraceId",
}
_DIRECTIONS: Mapping[TimeOrder, str] = {"latest": "DESC", "earliest": "ASC"}


def traces(
    cursor: duckdb.DuckDBPyConnection,
    rows: Predicate | None,
    selection: Selection,
    order: TraceOrder,
    limit: int,
    offset: int,
) -> Sequence[TraceSummary]:
    """Return the traces that have a selected span."""
    spans = SelectionSql(Signal.TRACES, rows)
    statement = (
        "WITH ids AS (SELECT DISTINCT TraceId FROM otel_traces WHERE "
        + spans.selected(selection)
        + '), extent AS MATERIALIZED (SELECT min(Start) AS earliest, max("End") AS latest '
        "FROM otel_traces_trace_id_ts SEMI JOIN ids USING (TraceId)), "
        "page AS MATERIALIZED (SELECT TraceId, min(epoch_ns(Timestamp)) AS started, "
        "max(epoch_ns(Timestamp) + Duration) - min(epoch_ns(Timestamp)) AS duration, count(*) AS spans, "
        "count(*) FILTER (WHERE StatusCode = 'Error') AS errors "
        "FROM otel_traces SEMI JOIN ids USING (TraceId) WHERE " + _IN_EXTENT + " AND " + spans.visible() + " "
        f"GROUP BY TraceId ORDER BY {_ORDERS[order]} LIMIT {int(limit)} OFFSET {int(offset)}), "
        "part AS MATERIALIZED (SELECT TraceId, SpanId, ParentSpanId, ServiceName, SpanName, Timestamp, Duration "
        "FROM otel_traces SEMI JOIN page USING (TraceId) WHERE "
        + _IN_EXTENT
        + " AND "
        + spans.visible()
        + "), "
        + _ROOTS_AND_SLOWEST
        + f"SELECT page.*, root, slowest FROM page JOIN roots USING (TraceId) LEFT JOIN slow USING (TraceId) "
        f"ORDER BY {_ORDERS[order]}"
    )
    return [_summary(*row) for row in statement.run(cursor)]


_IN_EXTENT = "Timestamp >= (SELECT earliest FROM extent) AND Timestamp <= (SELECT latest FROM extent)"
_ROOTS_AND_SLOWEST = (
    "orphans AS (SELECT * FROM part ANTI JOIN (SELECT TraceId, SpanId AS ParentSpanId FROM part) "
    "USING (TraceId, ParentSpanId)), "
    "roots AS (SELECT TraceId, arg_min({service: ServiceName, name: SpanName, id: SpanId}, Timestamp) AS root "
    "FROM orphans GROUP BY TraceId), "
    "slow AS (SELECT part.TraceId, arg_max({service: ServiceName, name: SpanName, duration: Duration}, Duration) "
    "AS slowest FROM (SELECT * FROM part ANTI JOIN (SELECT TraceId, ParentSpanId AS SpanId FROM part) "
    "USING (TraceId, SpanId)) AS part JOIN roots USING (TraceId) WHERE part.SpanId <> roots.root.id "
    "GROUP BY part.TraceId) "
)


def _summary(
    trace_id: str,
    start: int,
    duration: int,
    spans: int,
    errors: int,
    root: Mapping[str, str],
    slowest: Mapping[str, object] | None,
) -> TraceSummary:
    first = (root["service"], root["name"])
    if slowest is None:  # the root is the only span
        return TraceSummary(trace_id, start, duration, spans, errors, first, first, duration)
    longest, name = (str(slowest["service"]), str(slowest["name"])), slowest["duration"]
    assert isinstance(name, int)
    return TraceSummary(trace_id, start, duration, spans, errors, first, longest, name)


def trace(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, trace_id: str, limit: int) -> StoredTrace:
    """Return a trace."""
    spans, logs = SelectionSql(Signal.TRACES, rows), SelectionSql(Signal.LOGS, rows)
    given = (trace_id,)
    extent = Sql(
        'SELECT epoch_ns(min(Start)), epoch_ns(max("End")) FROM otel_traces_trace_id_ts WHERE TraceId = ?', given
    )
    ((earliest, latest),) = extent.run(cursor)
    counted = (
        Sql("SELECT SpanId, count(*) FROM otel_logs WHERE TraceId = ? AND ", given)
        + logs.visible()
        + " GROUP BY SpanId"
    )
    counts: dict[str, int] = dict(counted.run(cursor))
    if earliest is None:
        return StoredTrace((), 0, counts)
    bounds = f"Timestamp >= make_timestamp_ns({earliest}) AND Timestamp <= make_timestamp_ns({latest})"
    where = Sql(f" FROM otel_traces WHERE {bounds} AND TraceId = ? AND ", given) + spans.visible()
    ((total,),) = ("SELECT count(*)" + where).run(cursor)
    page = f"SELECT {SPAN_COLUMNS}" + where + f" ORDER BY Timestamp, SpanId LIMIT {int(limit)}"
    return StoredTrace([span_of(row) for row in page.run(cursor)], total, counts)


def spans(
    cursor: duckdb.DuckDBPyConnection,
    rows: Predicate | None,
    selection: Selection,
    order: TimeOrder,
    limit: int,
    offset: int,
) -> Sequence[Span]:
    """Return selected spans by their start."""
    direction = _DIRECTIONS[order]
    statement = (
        f"SELECT {SPAN_COLUMNS} FROM otel_traces WHERE "
        + SelectionSql(Signal.TRACES, rows).selected(selection)
        + f" ORDER BY Timestamp {direction}, TraceId, SpanId LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    return [span_of(row) for row in statement.run(cursor)]


def error_shapes(
    cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, selection: Selection, limit: int
) -> Sequence[ErrorShape]:
    """Return the shapes of selected spans with status error."""
    statement = (
        "WITH failed AS (SELECT ServiceName, SpanName, TraceId, epoch_ns(Timestamp) AS moment, StatusMessage, "
        "list_filter(Events, lambda e: e.Name = 'exception')[-1].Attributes AS thrown "
        "FROM otel_traces WHERE StatusCode = 'Error' AND "
        + SelectionSql(Signal.TRACES, rows).selected(selection)
        + "), named AS (SELECT ServiceName, SpanName, TraceId, moment, "
        "coalesce(thrown['exception.type'], '') AS kind, "
        "coalesce(thrown['exception.message'], StatusMessage) AS message, "
        "coalesce(thrown['exception.stacktrace'], '') AS stacktrace FROM failed) "
        "SELECT ServiceName, SpanName, kind, arg_max(message, moment), arg_max(stacktrace, moment), count(*), "
        "min(moment), max(moment), arg_max(TraceId, moment) FROM named "
        f"GROUP BY ServiceName, SpanName, kind, {MASK.format('message')} "
        f"ORDER BY count(*) DESC, max(moment) DESC LIMIT {int(limit)}"
    )
    return [ErrorShape(*row) for row in statement.run(cursor)]
