"""A caller's SELECT: executed with the tables' names of the embedded store, above the sources of the schema.

Statements are read-only, have the limits of every statement, and a limit of the answer's bytes besides. A caller with
row rules is refused, for the reason of the embedded store.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import BoundedSemaphore

from sqlglot import exp

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.application.ports.telemetry_store import SelectedRows
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.clickhouse.connection import UnknownName
from tfo_mcp.infrastructure.clickhouse.dialect import spellings, translated
from tfo_mcp.infrastructure.clickhouse.schema import COLUMNS, Schema
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, joined
from tfo_mcp.infrastructure.clickhouse.view import View
from tfo_mcp.infrastructure.telemetry_sql.cells import bounded_rows
from tfo_mcp.infrastructure.telemetry_sql.check import DIALECT, InvalidSelect, checked_select

_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_SETTINGS = (
    " SETTINGS join_use_nulls = 1, prefer_column_name_to_alias = 1, aggregate_functions_null_for_empty = 1,"
    " max_result_bytes = 67108864"
)
"""As in DuckDB: absent rows of joins are NULL, names mean columns first, and a sum of nothing is NULL."""
_EVENT = "Tuple(Timestamp DateTime64(9), Name String, Attributes Map(String, String))"
_LINK = "Tuple(TraceId String, SpanId String, Attributes Map(String, String))"
_ADDED = (
    f"CAST(arrayZip(arrayMap(t -> fromUnixTimestamp64Nano(t), EventTimes), EventNames, EventAttributes),"
    f" 'Array({_EVENT})') AS Events, "
    f"CAST(arrayZip(LinkTraces, LinkSpans, LinkAttributes), 'Array({_LINK})') AS Links"
)
_SPAN_COLUMNS = (
    *(name for name in COLUMNS[Signal.TRACES] if not name.startswith(("Event", "Link"))),
    "Events",
    "Links",
)
_MAIN = ("otel_traces", "otel_logs", "otel_metrics_...")
_COLUMNS = {*_SPAN_COLUMNS, *COLUMNS[Signal.LOGS], *COLUMNS[Signal.METRICS], "Start", "End"}
_COLUMNS |= {f"otel_metrics_{kind}" for kind in _KINDS} | {"otel_traces", "otel_traces_trace_id_ts", "otel_logs"}
_AT_ONCE = BoundedSemaphore(2)


async def select(view: View, text: str, most_rows: int) -> SelectedRows:
    """Return up to `most_rows` rows of a SELECT.

    Raises:
        OperationFailed: it may not be executed, is not valid, or exceeds a limit.
    """
    if view.is_restricted:
        raise OperationFailed("SQL is not available to callers with row rules (telemetry.access): use the other tools")
    tables = _tables(view.schema)
    try:
        query = checked_select(text, tables.keys(), most_rows + 1, datetime.now(UTC))
        statement = _statement(query, tables)
    except InvalidSelect as problem:
        raise OperationFailed(str(problem)) from None
    if not _AT_ONCE.acquire(blocking=False):
        raise OperationFailed("Other SQL is being executed: try again in a few seconds")
    try:
        answer = await view.answer(statement)
    except UnknownName:
        columns = (_SPAN_COLUMNS, COLUMNS[Signal.LOGS], COLUMNS[Signal.METRICS])
        shown = (f"{name}({', '.join(each)})" for name, each in zip(_MAIN, columns, strict=True))
        raise OperationFailed(f"A column or function is not found. Columns: {'; '.join(shown)}") from None
    finally:
        _AT_ONCE.release()
    return bounded_rows(_names(query, answer.names), answer.rows, most_rows)


def _tables(schema: Schema) -> dict[str, str]:
    """Return the query of each table by its name."""
    spans, logs, points = (schema.sources[signal].query for signal in (Signal.TRACES, Signal.LOGS, Signal.METRICS))
    return {
        "otel_traces": f"SELECT {', '.join(_SPAN_COLUMNS[:-2])}, {_ADDED} FROM {spans}",
        "otel_traces_trace_id_ts": f"SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM {spans}"
        " GROUP BY TraceId",
        "otel_logs": f"SELECT {', '.join(COLUMNS[Signal.LOGS])} FROM {logs}",
        **{f"otel_metrics_{kind}": f"SELECT * FROM {points} WHERE Kind = '{kind}'" for kind in _KINDS},
    }


def _statement(query: exp.Query, tables: dict[str, str]) -> SqlPart:
    """Return the statement: each table that is read is a WITH before those of the caller."""
    read = sorted({table.name.lower() for table in query.find_all(exp.Table)} & tables.keys())
    known = spellings(query, _COLUMNS)
    parts = [SqlPart(f"`{name}` AS ({tables[name]})") for name in read]
    beginning = query.args.get("with_")
    for part in beginning.expressions if beginning is not None else ():
        parts.append(f"`{known[part.alias.lower()]}` AS (" + translated(part.this, known) + ")")
    rest = query.copy()
    rest.set("with_", None)
    whole = translated(rest, known) + _SETTINGS
    return "WITH " + joined(", ", parts) + " " + whole if parts else whole


def _names(query: exp.Query, names: Sequence[str]) -> Sequence[str]:
    """Return the names of the columns as the caller wrote them, where they are one to one."""
    written = query.selects
    if len(written) != len(names) or any(each.is_star for each in written):
        return names
    return [each.output_name or each.sql(dialect=DIALECT) for each in written]
