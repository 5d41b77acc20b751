"""The tool aggregate: numbers over all spans or log records of a period, per group and over time."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.analysis.filters import parse_field
from tfo_mcp.analysis.text import counted, csv_line
from tfo_mcp.analysis.times import parse_length, show_duration, show_within
from tfo_mcp.builtin.telemetry.absence import explain_absence, unknown_fields
from tfo_mcp.builtin.telemetry.answer import table_answer
from tfo_mcp.builtin.telemetry.arguments import DEFAULT_FROM, DEFAULT_TO, HINTS, SCOPE, Budget, From, To, Where
from tfo_mcp.builtin.telemetry.question import Question, resolve
from tfo_mcp.plugins import Context, ToolError, tool
from tfo_mcp.plugins.telemetry import Aggregate, AggregateRow, FieldName, Measure, Signal
from tfo_mcp.value_objects import value_object

_Name = Literal["count", "rate", "error_rate", "p50", "p75", "p90", "p95", "p99", "sum", "avg", "min", "max"]
_MOST_PARTS = 60
_DURATION = FieldName("duration")
_COUNT, _ERRORS = Measure("count"), Measure("errors")


@value_object
class _Plan:
    """What to ask the store, the first measure ranks the groups; and how to show it."""

    measures: Sequence[Measure]
    title: str
    name: _Name
    seconds: float
    """Length of the period that one value is for."""

    def value(self, row: AggregateRow) -> float | None:
        """Return the number to show for a group."""
        first, second = row.values[0], row.values[1]
        match self.name:
            case "count":
                return first
            case "rate":
                return (first or 0) / self.seconds * 60
            case "error_rate":
                return 100 * (first or 0) / second if second else None
            case _:
                return first if first is None or self.measures[0].field != _DURATION else first / 1e6

    def records(self, row: AggregateRow) -> float | None:
        """Return the number of records in a group."""
        return row.values[self.measures.index(_COUNT)]


@tool(title="Aggregate telemetry", hints=HINTS, scope=SCOPE)
async def aggregate(
    ctx: Context,
    measure: Annotated[
        _Name, Field(description="rate is per minute, error_rate in percent; others measure `field`")
    ] = "count",
    field: str = "duration",
    of: Literal["traces", "logs"] = "traces",
    by: Annotated[
        tuple[str, ...], Field(max_length=3, description="Fields such as service.name, name, http.route")
    ] = (),
    every: Annotated[str, Field(description="Step of a time series: 5m")] = "",
    limit: Annotated[int, Field(ge=1, le=100)] = 15,
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    where: Where = "",
    budget: Budget = 1500,
) -> str:
    """Count or measure all spans or logs: top groups of fields, and over time. Durations are in ms."""
    question = await resolve(ctx, from_, to, budget, where=where)
    groups = [parse_field(name) for name in by]
    length = _length(every, question) if every else None
    plan = _plan(measure, parse_field(field), Signal(of), question, length)
    asked = (Signal(of), question.selection, plan.measures)
    found = await question.store.aggregate(*asked, by=groups, every=length, limit=limit)
    if not any(plan.records(row) for row in (*found.rows, *found.rest)):
        return await explain_absence(question, Signal(of))
    measured = [each.field for each in plan.measures if each.field is not None]
    unknown = await unknown_fields(question, [*groups, *measured], Signal(of))
    names = [f"{name.place}.{name.name}" if name.place else name.name for name in groups]
    rows = _points(plan, names, found, question, length) if length else _groups(plan, names, found)
    head = f"{question.range}: {plan.title}, {counted(found.groups, 'group')}{', the largest first' if groups else ''}"
    more = "Give a smaller `limit`, a longer `every` or a larger `budget`."
    return table_answer(head, rows[0], rows[1:], question.budget, more=more, foot=[unknown] if unknown else [])


def _length(every: str, question: Question) -> int:
    length = parse_length(every)
    parts = -(-(question.window.end - question.window.start) // length)
    if parts > _MOST_PARTS:
        enough = show_duration((question.window.end - question.window.start) / _MOST_PARTS)
        raise ToolError(f"every={every} makes {parts} points; at most {_MOST_PARTS}: use {enough} or more")
    return length


def _plan(name: _Name, field: FieldName, signal: Signal, question: Question, length: int | None) -> _Plan:
    seconds = question.window.seconds if length is None else length / 1e9
    match name:
        case "count" | "rate":
            return _Plan((_COUNT, _ERRORS), "rate per minute" if name == "rate" else "count", name, seconds)
        case "error_rate":
            return _Plan((_ERRORS, _COUNT), "error rate %", name, seconds)
    if signal is Signal.LOGS and field == _DURATION:
        raise ToolError(f"{name} of log records needs `field`: `find_fields` with signal=logs lists them")
    title = f"{name} of duration, ms" if field == _DURATION else f"{name} of {field.name}"
    return _Plan((Measure(name, field), _COUNT), title, name, seconds)


def _groups(plan: _Plan, names: Sequence[str], found: Aggregate) -> list[str]:
    rows = [csv_line((*names, plan.name, "records"))]
    rows += [csv_line((*_shown(row.group), plan.value(row), plan.records(row))) for row in found.rows]
    others = f"(others: {found.groups - len(found.rows)} groups)"
    rows += [csv_line((*_padded(others, len(names)), plan.value(row), plan.records(row))) for row in found.rest]
    return rows


def _points(plan: _Plan, names: Sequence[str], found: Aggregate, question: Question, length: int) -> list[str]:
    """Return one row per group with a column per point in time; without groups, one row per point."""
    window = question.window
    starts = sorted({row.start for row in (*found.rows, *found.rest) if row.start is not None})
    if starts:
        starts = list(range(starts[0], max(starts[-1], window.end - length) + 1, length))
    series: dict[tuple[str | None, ...], dict[int, float | None]] = {}
    for row in found.rows:
        series.setdefault(row.group, {})[row.start or 0] = plan.value(row)
    if not names:
        points = series.get((), {})
        return ["time," + plan.name, *(csv_line((show_within(at, window), _at(points, at, plan))) for at in starts)]
    rest = {row.start or 0: plan.value(row) for row in found.rest}
    rows = [csv_line((*names, *(show_within(at, window) for at in starts)))]
    rows += [csv_line((*_shown(group), *(_at(points, at, plan) for at in starts))) for group, points in series.items()]
    if rest:
        others = f"(others: {found.groups - len(series)} groups)"
        rows.append(csv_line((*_padded(others, len(names)), *(_at(rest, at, plan) for at in starts))))
    return rows


def _at(points: Mapping[int, float | None], start: int, plan: _Plan) -> float | None:
    return points.get(start, 0.0 if plan.name in ("count", "rate") else None)


def _shown(group: Sequence[str | None]) -> list[str]:
    return ["(none)" if value is None else value for value in group]


def _padded(text: str, columns: int) -> list[str]:
    return [text, *([""] * (columns - 1))] if columns else []
