"""Queries of services: their summaries, the calls between them, and the contents of the store."""

from collections.abc import Sequence
from typing import Any

import duckdb

from tfo_mcp.application.ports.telemetry_query import Predicate, Signal, Window
from tfo_mcp.application.ports.telemetry_store import ServiceEdge, ServiceSummary, StoreStatus
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SIGNAL_TABLES, SelectionSql

_REQUEST = "(SpanKind IN ('Server', 'Consumer') OR ParentSpanId = '')"
_PEERS = (
    *("peer.service", "db.system.name", "db.system", "messaging.system", "rpc.service", "server.address"),
    *("net.peer.name", "http.host"),
)
"""Attributes that name the callee of a span, the first one that is there."""


def services(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, window: Window) -> Sequence[ServiceSummary]:
    """Return the services that sent anything, the most spans first."""
    spans = {name: rest for name, *rest in _span_figures(cursor, rows, window)}
    logs = {name: rest for name, *rest in _record_figures(cursor, rows, window, Signal.LOGS)}
    points = {name: rest for name, *rest in _record_figures(cursor, rows, window, Signal.METRICS)}
    versions = _versions(cursor, rows, window)
    found = []
    for name in {**spans, **logs, **points}:
        figures = [each[name] for each in (spans, logs, points) if name in each]
        requests, errors, p50, p95, span_count = spans[name][2:] if name in spans else (0, 0, None, None, 0)
        log_count, error_logs = logs[name][2:] if name in logs else (0, 0)
        found.append(
            ServiceSummary(
                name,
                versions.get(name, ()),
                first=min(figure[0] for figure in figures),
                last=max(figure[1] for figure in figures),
                requests=requests,
                errors=errors,
                p50=p50,
                p95=p95,
                spans=span_count,
                logs=log_count,
                error_logs=error_logs,
                points=points[name][2] if name in points else 0,
            )
        )
    return sorted(found, key=lambda service: (-service.spans, -service.logs, service.name))


def _span_figures(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, window: Window) -> list[tuple[Any, ...]]:
    spans = SelectionSql(Signal.TRACES, rows)
    statement = (
        "SELECT ServiceName, min(epoch_ns(Timestamp)), max(epoch_ns(Timestamp)), "
        f"count(*) FILTER (WHERE {_REQUEST}), count(*) FILTER (WHERE {_REQUEST} AND StatusCode = 'Error'), "
        f"quantile_cont(Duration, 0.5) FILTER (WHERE {_REQUEST}), "
        f"quantile_cont(Duration, 0.95) FILTER (WHERE {_REQUEST}), count(*) FROM otel_traces WHERE "
        + spans.within(window)
        + " AND "
        + spans.visible()
        + " GROUP BY ServiceName"
    )
    return statement.run(cursor)


def _record_figures(
    cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, window: Window, signal: Signal
) -> list[tuple[Any, ...]]:
    records = SelectionSql(signal, rows)
    moment = f"epoch_ns({records.table.time})"
    statement = (
        f"SELECT ServiceName, min({moment}), max({moment}), count(*), count(*) FILTER (WHERE {records.table.error}) "
        f"FROM {records.table.source} WHERE "
        + records.within(window)
        + " AND "
        + records.visible()
        + " GROUP BY ServiceName"
    )
    return statement.run(cursor)


def _versions(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, window: Window) -> dict[str, list[str]]:
    parts = []
    for signal in (Signal.TRACES, Signal.LOGS):
        records = SelectionSql(signal, rows)
        parts.append(
            f"SELECT ServiceName, ResourceAttributes['service.version'] AS version, {records.table.time} AS seen "
            f"FROM {records.table.source} WHERE " + records.within(window) + " AND " + records.visible()
        )
    statement = (
        "SELECT ServiceName, list(version ORDER BY latest DESC) FROM (SELECT ServiceName, version, max(seen) AS latest "
        "FROM ("
        + parts[0]
        + " UNION ALL "
        + parts[1]
        + ") WHERE version IS NOT NULL GROUP BY ALL) GROUP BY ServiceName"
    )
    return dict(statement.run(cursor))


def edges(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, window: Window) -> Sequence[ServiceEdge]:
    """Return the calls between services, the most calls first."""
    spans = SelectionSql(Signal.TRACES, rows)
    peers = ", ".join(f"nullif(SpanAttributes['{name}'], '')" for name in _PEERS)
    columns = "TraceId, SpanId, ParentSpanId, ServiceName, Duration, SpanKind, StatusCode"
    overhead = "avg(caller.Duration - callee.Duration) FILTER (WHERE caller.SpanKind = 'Client')"
    statement = (
        f"WITH spans AS MATERIALIZED (SELECT {columns}, CASE WHEN SpanKind IN ('Client', 'Producer') "
        f"THEN coalesce({peers}) END AS peer FROM otel_traces WHERE "
        + spans.within(window)
        + " AND "
        + spans.visible()
        + "), seen AS (SELECT caller.ServiceName, callee.ServiceName, true, count(*) AS calls, "
        "count(*) FILTER (WHERE 'Error' IN (caller.StatusCode, callee.StatusCode)), "
        "quantile_cont(caller.Duration, 0.95), quantile_cont(callee.Duration, 0.95), "
        f"{overhead} FROM spans AS caller JOIN spans AS callee "
        "ON caller.TraceId = callee.TraceId AND caller.SpanId = callee.ParentSpanId "
        "WHERE caller.ServiceName <> callee.ServiceName GROUP BY 1, 2), "
        "unseen AS (SELECT ServiceName, peer, false, count(*) AS calls, count(*) FILTER (WHERE StatusCode = 'Error'), "
        "quantile_cont(Duration, 0.95), NULL, NULL FROM spans AS caller ANTI JOIN (SELECT TraceId, ParentSpanId, "
        "ServiceName AS other FROM spans) AS callee ON caller.TraceId = callee.TraceId "
        "AND caller.SpanId = callee.ParentSpanId AND caller.ServiceName <> callee.other "
        "WHERE peer IS NOT NULL GROUP BY 1, 2) "
        "SELECT * FROM seen UNION ALL SELECT * FROM unseen ORDER BY calls DESC, 1, 2"
    )
    return [ServiceEdge(*row) for row in statement.run(cursor)]


def contents(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None) -> StoreStatus:
    """Return what the store holds, without its addresses."""
    counts: dict[Signal, int] = {}
    earliest: list[int] = []
    latest: list[int] = []
    for signal, table in SIGNAL_TABLES.items():
        statement = (
            f"SELECT count(*), epoch_ns(min({table.time})), epoch_ns(max({table.time})) FROM {table.source} WHERE "
            + SelectionSql(signal, rows).visible()
        )
        ((counts[signal], first, last),) = statement.run(cursor)
        if first is not None:
            earliest.append(first)
            latest.append(last)
    return StoreStatus(
        min(earliest, default=None),
        max(latest, default=None),
        counts[Signal.TRACES],
        counts[Signal.LOGS],
        counts[Signal.METRICS],
    )
