"""Queries of log records: lists and shapes."""

from collections.abc import Mapping, Sequence

import duckdb

from tfo_mcp.application.ports.telemetry_query import Predicate, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import LogRecord, LogShape, TimeOrder
from tfo_mcp.infrastructure.telemetry_store.queries.rows import LOG_COLUMNS, log_of
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql

MASK = r"regexp_replace({}, '\b[0-9a-fA-F]{{8,}}(?:-[0-9a-fA-F]{{4,}})*\b|\d+(?:\.\d+)*', '*', 'g')"
"""The expression of a text without its numbers and ids; with one place for the column."""
_DIRECTIONS: Mapping[TimeOrder, str] = {"latest": "DESC", "earliest": "ASC"}
_EXAMPLES = 3


def logs(
    cursor: duckdb.DuckDBPyConnection,
    rows: Predicate | None,
    selection: Selection,
    order: TimeOrder,
    limit: int,
    offset: int,
) -> Sequence[LogRecord]:
    """Return selected log records by their time."""
    statement = (
        f"SELECT {LOG_COLUMNS} FROM otel_logs WHERE "
        + SelectionSql(Signal.LOGS, rows).selected(selection)
        + f" ORDER BY Timestamp {_DIRECTIONS[order]}, ServiceName, Body LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    return [log_of(row) for row in statement.run(cursor)]


def log_shapes(
    cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, selection: Selection, parts: int, limit: int
) -> Sequence[LogShape]:
    """Return the shapes of selected log records, counted in `parts` parts of the window."""
    window = selection.window
    since = f"(epoch_ns(Timestamp) - {int(window.start)})::HUGEINT"
    part = f"CAST({since} * {int(parts)} // {int(window.end - window.start)} AS INT)"
    examples = f"list_distinct(list(TraceId) FILTER (WHERE TraceId <> ''))[:{_EXAMPLES}]"
    statement = (
        f"WITH masked AS (SELECT ServiceName, SeverityNumber, {MASK.format('Body')} AS shape, {part} AS part, Body, "
        "TraceId, epoch_ns(Timestamp) AS moment FROM otel_logs WHERE "
        + SelectionSql(Signal.LOGS, rows).selected(selection)
        + "), counted AS (SELECT ServiceName, SeverityNumber, shape, part, count(*) AS records, "
        f"arg_max(Body, moment) AS body, min(moment) AS first, max(moment) AS last, {examples} AS trace_ids "
        "FROM masked GROUP BY ALL) "
        "SELECT ServiceName, SeverityNumber, arg_max(body, last), min(first), max(last), "
        "map_from_entries(list((part, records))), "
        f"list_distinct(flatten(list(trace_ids)))[:{_EXAMPLES}] "
        "FROM counted GROUP BY ServiceName, SeverityNumber, shape "
        f"ORDER BY sum(records) DESC, max(last) DESC LIMIT {int(limit)}"
    )
    return [
        LogShape(
            service, severity, body, first, last, [counts.get(index, 0) for index in range(parts)], trace_ids or ()
        )
        for service, severity, body, first, last, counts, trace_ids in statement.run(cursor)
    ]
