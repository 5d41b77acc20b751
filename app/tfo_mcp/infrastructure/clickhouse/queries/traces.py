"""Queries of spans: lists of traces, one trace, spans, shapes of errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfo_mcp.application.ports.telemetry_query import Selection, Signal, Window
from tfo_mcp.application.ports.telemetry_store import (
    ErrorShape,
    Span,
    StoredTrace,
    TimeOrder,
    TraceOrder,
    TraceSummary,
)
from tfo_mcp.infrastructure.clickhouse.queries.rows import SPAN_COLUMNS, span_of
from tfo_mcp.infrastructure.clickhouse.selections import MASK
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind, moment, nanoseconds
from tfo_mcp.infrastructure.clickhouse.view import View

_ORDERS: Mapping[TraceOrder, str] = {
    "slowest": "duration DESC, started DESC, TraceId",
    "latest": "started DESC, TraceId",
    "errors": "errors DESC, started DESC, TraceId",
}
_DIRECTIONS: Mapping[TimeOrder, str] = {"latest": "DESC", "earliest": "ASC"}
_START = nanoseconds("Timestamp")
_SECOND = 1_000_000_000
_MARGIN = 24 * 3600 * _SECOND
"""How far outside of a window spans of its traces are looked for, where no table has the times of traces."""


async def traces(
    view: View, selection: Selection, order: TraceOrder, limit: int, offset: int
) -> Sequence[TraceSummary]:
    """Return the traces that have a selected span."""
    spans = view.records(Signal.TRACES)
    ids = "(SELECT DISTINCT TraceId" + spans.selected(selection) + ")"
    window = selection.window
    extent = await _extent(view, " WHERE TraceId IN " + ids)
    around = extent or Window(window.start - _MARGIN, window.end + _MARGIN)
    statement = (
        f"SELECT TraceId, min({_START}) AS started, max({_START} + Duration) - min({_START}) AS duration, "
        "count(), countIf(StatusCode = 'Error') AS errors"
        + spans.within(around)
        + " AND TraceId IN "
        + ids
        + f" GROUP BY TraceId ORDER BY {_ORDERS[order]} LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    page = await view.ask(statement)
    if not page:
        return ()
    first = min(start for _, start, *_ in page)
    last = max(start + duration for _, start, duration, *_ in page)
    return await _summaries(view, page, Window(first, last + 1))


async def _extent(view: View, where: SqlPart) -> Window | None:
    """Return the period of the starts of traces' spans; None if no table has it."""
    if view.schema.trace_times is None:
        return None
    start, end = (f"{nanoseconds(f'toDateTime64({each}, 9)')}" for each in ("min(Start)", "max(End)"))
    statement = f"SELECT count(), {start}, {end} FROM {view.schema.trace_times}" + where
    ((count, earliest, latest),) = await view.ask(statement)
    return Window(earliest, latest + _SECOND) if count else None  # times may be whole seconds


async def _summaries(view: View, page: Sequence[Sequence[Any]], window: Window) -> Sequence[TraceSummary]:
    ids = tuple(str(row[0]) for row in page)
    part = view.records(Signal.TRACES).within(window) + " AND TraceId IN " + bind(ids)
    statement = (
        "SELECT TraceId, argMin((ServiceName, SpanName, SpanId), Timestamp)"
        + part
        + " AND (TraceId, ParentSpanId) NOT IN (SELECT TraceId, SpanId"
        + part
        + ") GROUP BY TraceId"
    )
    roots: dict[str, tuple[str, str, str]] = dict(await view.ask(statement))
    traces, spans = tuple(roots), tuple(root[2] for root in roots.values())
    statement = (
        "SELECT TraceId, argMax((ServiceName, SpanName, Duration), Duration)"
        + part
        + " AND (TraceId, SpanId) NOT IN (SELECT TraceId, ParentSpanId"
        + part
        + ") AND NOT has(arrayZip("
        + bind(traces)
        + ", "
        + bind(spans)
        + "), (TraceId, SpanId)) GROUP BY TraceId"
    )
    slowest: dict[str, tuple[str, str, int]] = dict(await view.ask(statement))
    return [_summary(row, roots.get(row[0]), slowest.get(row[0])) for row in page]


def _summary(row: Sequence[Any], root: Sequence[Any] | None, slowest: Sequence[Any] | None) -> TraceSummary:
    trace_id, start, duration, spans, errors = row
    first = ("", "") if root is None else (root[0], root[1])
    if slowest is None:  # the root is the only span
        return TraceSummary(trace_id, start, duration, spans, errors, first, first, duration)
    return TraceSummary(trace_id, start, duration, spans, errors, first, (slowest[0], slowest[1]), slowest[2])


async def trace(view: View, trace_id: str, limit: int) -> StoredTrace:
    """Return a trace."""
    same = " AND TraceId = " + bind(trace_id)
    counted = "SELECT SpanId, count()" + view.records(Signal.LOGS).visible() + same + " GROUP BY SpanId"
    counts: dict[str, int] = dict(await view.ask(counted))
    extent = await _extent(view, " WHERE TraceId = " + bind(trace_id))
    where = view.records(Signal.TRACES).visible() + same
    if extent is not None:
        where += f" AND Timestamp >= {moment(extent.start)} AND Timestamp <= {moment(extent.end)}"
    ((total,),) = await view.ask("SELECT count()" + where)
    if not total:
        return StoredTrace((), 0, counts)
    page = f"SELECT {SPAN_COLUMNS}" + where + f" ORDER BY Timestamp, SpanId LIMIT {int(limit)}"
    return StoredTrace([span_of(row) for row in await view.ask(page)], total, counts)


async def spans(view: View, selection: Selection, order: TimeOrder, limit: int, offset: int) -> Sequence[Span]:
    """Return selected spans by their start."""
    direction = _DIRECTIONS[order]
    statement = (
        f"SELECT {SPAN_COLUMNS}"
        + view.records(Signal.TRACES).selected(selection)
        + f" ORDER BY Timestamp {direction}, TraceId, SpanId LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    return [span_of(row) for row in await view.ask(statement)]


async def error_shapes(view: View, selection: Selection, limit: int) -> Sequence[ErrorShape]:
    """Return the shapes of selected spans with status error."""
    thrown = "arrayFilter((attributes, name) -> name = 'exception', EventAttributes, EventNames)[-1]"
    statement = (
        "SELECT ServiceName, SpanName, kind, argMax(message, moment), argMax(stacktrace, moment), count(), "
        "min(moment), max(moment), argMax(TraceId, moment) FROM ("
        f"SELECT ServiceName, SpanName, TraceId, {_START} AS moment, {thrown} AS thrown, "
        "thrown['exception.type'] AS kind, thrown['exception.stacktrace'] AS stacktrace, "
        "if(mapContains(thrown, 'exception.message'), thrown['exception.message'], StatusMessage) AS message"
        + view.records(Signal.TRACES).selected(selection)
        + f" AND StatusCode = 'Error') GROUP BY ServiceName, SpanName, kind, {MASK.format('message')} "
        f"ORDER BY count() DESC, max(moment) DESC LIMIT {int(limit)}"
    )
    return [ErrorShape(*row) for row in await view.ask(statement)]
