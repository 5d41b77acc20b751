"""Queries of log records: lists and shapes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tfo_mcp.application.ports.telemetry_query import Selection, Signal
from tfo_mcp.application.ports.telemetry_store import LogRecord, LogShape, TimeOrder
from tfo_mcp.infrastructure.clickhouse.queries.rows import LOG_COLUMNS, log_of
from tfo_mcp.infrastructure.clickhouse.selections import MASK
from tfo_mcp.infrastructure.clickhouse.sql import nanoseconds
from tfo_mcp.infrastructure.clickhouse.view import View

_DIRECTIONS: Mapping[TimeOrder, str] = {"latest": "DESC", "earliest": "ASC"}
_EXAMPLES = 3


async def logs(view: View, selection: Selection, order: TimeOrder, limit: int, offset: int) -> Sequence[LogRecord]:
    """Return selected log records by their time."""
    statement = (
        f"SELECT {LOG_COLUMNS}"
        + view.records(Signal.LOGS).selected(selection)
        + f" ORDER BY Timestamp {_DIRECTIONS[order]}, ServiceName, Body LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    return [log_of(row) for row in await view.ask(statement)]


async def log_shapes(view: View, selection: Selection, parts: int, limit: int) -> Sequence[LogShape]:
    """Return the shapes of selected log records, counted in `parts` parts of the window."""
    window = selection.window
    since = f"toInt128({nanoseconds('Timestamp')} - {int(window.start)})"
    part = f"toInt32(intDiv({since} * {int(parts)}, {int(window.end - window.start)}))"
    statement = (
        f"SELECT ServiceName, SeverityNumber, argMax(body, last), min(first), max(last), "
        f"groupArray((part, records)), arrayFlatten(groupArray(trace_ids)) FROM ("
        f"SELECT ServiceName, SeverityNumber, {MASK.format('Body')} AS shape, {part} AS part, count() AS records, "
        f"argMax(Body, Timestamp) AS body, min({nanoseconds('Timestamp')}) AS first, "
        f"max({nanoseconds('Timestamp')}) AS last, "
        f"groupUniqArrayIf({_EXAMPLES})(TraceId, TraceId != '') AS trace_ids"
        + view.records(Signal.LOGS).selected(selection)
        + " GROUP BY ServiceName, SeverityNumber, shape, part) GROUP BY ServiceName, SeverityNumber, shape "
        f"ORDER BY sum(records) DESC, max(last) DESC LIMIT {int(limit)}"
    )
    return [_shape(parts, *row) for row in await view.ask(statement)]


def _shape(
    parts: int,
    service: str,
    severity: int,
    body: str,
    first: int,
    last: int,
    counted: Sequence[tuple[int, int]],
    trace_ids: Sequence[str],
) -> LogShape:
    counts: Counter[int] = Counter()
    for part, records in counted:
        counts[part] += records
    examples = tuple(dict.fromkeys(trace_ids))[:_EXAMPLES]
    return LogShape(service, severity, body, first, last, [counts[part] for part in range(parts)], examples)
