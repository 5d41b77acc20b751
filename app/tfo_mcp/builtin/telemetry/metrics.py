"""The tool query_metrics: what a metric was over time, per group of its series."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field

from tfo_mcp.analysis.filters import parse_field
from tfo_mcp.analysis.metric_groups import Family, Labels, Statistic, default_statistic, family_of, groups_of
from tfo_mcp.analysis.metric_steps import Grid, grid_of
from tfo_mcp.analysis.promql import UnsupportedPromql
from tfo_mcp.analysis.text import counted, fenced, safe
from tfo_mcp.analysis.times import show_duration
from tfo_mcp.builtin.telemetry.absence import explain_absence
from tfo_mcp.builtin.telemetry.answer import table_answer
from tfo_mcp.builtin.telemetry.arguments import DEFAULT_FROM, DEFAULT_TO, HINTS, SCOPE, Budget, From, To, Where
from tfo_mcp.builtin.telemetry.metric_table import MeasuredLine, table_of, vector_table
from tfo_mcp.builtin.telemetry.promql import evaluate, parse_promql, read_input
from tfo_mcp.builtin.telemetry.question import Question, resolve
from tfo_mcp.builtin.telemetry.service_metrics import answer_promql, promql_of
from tfo_mcp.plugins import Context, ToolError, tool
from tfo_mcp.plugins.telemetry import FieldName, MetricSeries, Selection, Signal, Window

LOOKBACK = 300_000_000_000
"""Nanoseconds before the period whose points say from which value a counter rose."""
MOST_VALUES = 150_000
"""Values of a metric that one question may read."""
MOST_METRICS = 2000
_UNIT = re.compile(r"[\w%/.{}*^-]{1,20}")
_NEAREST, _MOST_DIMENSIONS = 5, 5
_LONGEST_NAME = 200

_Aggregate = Literal["auto", "avg", "sum", "min", "max", "rate", "increase", "p50", "p90", "p95", "p99"]


@tool(title="Query metrics", hints=HINTS, scope=SCOPE)
async def query_metrics(
    ctx: Context,
    metric: Annotated[str, Field(description="Whole name; `find_fields` lists metrics")] = "",
    promql: Annotated[str, Field(description="Instead of metric, aggregate, by")] = "",
    aggregate: Annotated[
        _Aggregate, Field(description="auto: rate per second of counters, p95 of histograms, average of gauges")
    ] = "auto",
    by: Annotated[tuple[str, ...], Field(max_length=3)] = ("service.name",),
    from_: From = DEFAULT_FROM,
    to: To = DEFAULT_TO,
    where: Where = "",
    budget: Budget = 1500,
) -> str:
    """Show a metric over time per group: values, shape, changes of level, and traces as examples."""
    question = await resolve(ctx, from_, to, budget, where=where)
    if bool(metric) == bool(promql.strip()):
        raise ToolError("Give either `metric` or `promql`")
    if promql.strip():
        return await _promql(ctx, question, promql.strip())
    window = question.window
    read = Selection(Window(max(0, window.start - LOOKBACK), window.end), question.where)
    found = await question.store.metric_points(metric, read, limit=MOST_VALUES)
    if found.total > MOST_VALUES:
        raise ToolError(
            f"{safe(metric)} has {found.total} values in the period, and at most {MOST_VALUES} are read: "
            "choose a shorter period, or fewer series by `where`"
        )
    chosen, others = _largest_kind(found.series)
    if not chosen:
        return await _elsewhere(ctx, question, metric, aggregate, by) or await _absent(ctx, question, metric)
    groups = [parse_field(name) for name in by]
    return await ctx.in_thread(_answer, question, chosen, others, groups, aggregate) or await _absent(
        ctx, question, metric
    )


def _answer(
    question: Question,
    series: Sequence[MetricSeries],
    others: Sequence[str],
    by: Sequence[FieldName],
    aggregate: _Aggregate,
) -> str | None:
    """Return the answer, None if no series has a value in the period."""
    statistic = default_statistic(series[0]) if aggregate == "auto" else aggregate
    grid = grid_of(question.window, series)
    groups = groups_of(_grouped(series, by), statistic, grid, max(0, question.window.start - LOOKBACK))
    lines = [MeasuredLine(each.labels, each.values, each.whole, each.trace_id) for each in groups]
    header, rows = table_of([_shown(name) for name in by], lines, grid, question.window)
    if not rows:
        return None
    head = f"{question.range}: {_title(series, statistic, grid)}, {len(series)} series"
    foot = [*_dimensions(series, by), *(f"Left out: {other}." for other in others)]
    resets = sum(each.resets for each in groups)
    foot += [f"{counted(resets, 'reset')} of counters, which are no decrease."] if resets else []
    more = "Give `where`, fewer `by`, or a larger `budget`."
    return table_answer(head, header, rows, question.budget, more=more, foot=foot)


async def _elsewhere(ctx: Context, question: Question, metric: str, aggregate: str, by: Sequence[str]) -> str | None:
    """Return the answer of the metric service, None without one or if it has no such metric."""
    service = ctx.metric_service
    asked = None if service is None else await promql_of(service, question, metric, aggregate, by)
    return None if service is None or asked is None else await answer_promql(ctx, service, question, *asked)


async def _promql(ctx: Context, question: Question, text: str) -> str:
    service = ctx.metric_service
    try:
        expression = parse_promql(text)
    except UnsupportedPromql:
        if service is None:
            raise
        return await answer_promql(ctx, service, question, text)
    given = await read_input(question, expression, MOST_VALUES)
    if given.unknown and service is not None:
        return await answer_promql(ctx, service, question, text)
    found = await ctx.in_thread(evaluate, expression, given, question.window)
    header, rows = await ctx.in_thread(vector_table, found, given.grid, question.window)
    if given.unknown and not rows:
        return await _absent(ctx, question, given.unknown[0])
    if not rows:
        return f"{question.range}: no series has a value. `metric` shows a metric without an expression."
    head = f"{question.range}: PromQL in steps of {show_duration(given.grid.length)}, {len(rows)} series"
    return table_answer(
        head, header, rows, question.budget, more="Aggregate by fewer labels, or give a larger `budget`."
    )


def _title(series: Sequence[MetricSeries], statistic: Statistic, grid: Grid) -> str:
    first = series[0]
    form = [first.kind.replace("_", " "), *([first.temporality] if first.temporality else [])]
    form += [first.unit] if _UNIT.fullmatch(first.unit) else []
    per = {"rate": "rate per second", "increase": f"increase per {show_duration(grid.length)}"}
    shown = per.get(statistic, f"{statistic} of rates per second" if family_of(first) == "counter" else statistic)
    return f"{safe(first.name)} ({', '.join(form)}): {shown} in steps of {show_duration(grid.length)}"


def _largest_kind(series: Sequence[MetricSeries]) -> tuple[Sequence[MetricSeries], Sequence[str]]:
    """Return the series that can be measured together, and what is left out: other kinds and units of the same name."""
    found: dict[tuple[Family, str], list[MetricSeries]] = defaultdict(list)
    for each in series:
        found[family_of(each), each.unit].append(each)
    ranked = sorted(found.items(), key=lambda kind: -len(kind[1]))
    others = [
        f"{len(each)} series of the same name that are a {family} or have another unit"
        for (family, _unit), each in ranked[1:]
    ]
    return (ranked[0][1] if ranked else ()), others


def _grouped(series: Sequence[MetricSeries], by: Sequence[FieldName]) -> Mapping[Labels, Sequence[MetricSeries]]:
    found: dict[Labels, list[MetricSeries]] = defaultdict(list)
    for each in series:
        found[tuple(_label(each, field) for field in by)].append(each)
    return found


def _label(series: MetricSeries, field: FieldName) -> str | None:
    if field.name == "service.name" and field.place != "attribute":
        return series.service
    places = {"attribute": [series.attributes], "resource": [series.resource]}
    for place in places.get(field.place or "", [series.attributes, series.resource]):
        if field.name in place:
            return place[field.name]
    return None


def _shown(field: FieldName) -> str:
    return f"{field.place}.{field.name}" if field.place else field.name


def _dimensions(series: Sequence[MetricSeries], by: Sequence[FieldName]) -> Iterable[str]:
    """Yield a line with the labels in which the series differ, other than those of the groups."""
    values: dict[str, set[str]] = defaultdict(set)
    for each in series:
        for labels in (each.attributes, each.resource):
            for name, value in labels.items():
                values[name].add(value)
    grouped = {field.name for field in by}
    differing = [(name, len(known)) for name, known in values.items() if len(known) > 1 and name not in grouped]
    if differing:
        ranked = sorted(differing, key=lambda each: each[::-1])[:_MOST_DIMENSIONS]
        shown = ", ".join(f"{safe(name, 40)} ({count} values)" for name, count in ranked)
        yield "\n".join(["Its series also differ in:", *fenced([shown])])


async def _absent(ctx: Context, question: Question, metric: str) -> str:
    """Return why a metric has no points: its name is unknown in the period, or the filter excludes it."""
    stored = await question.store.metrics(Selection(question.window), about=None, limit=MOST_METRICS)
    names = {each.name for each in stored}
    service = ctx.metric_service
    if metric in names or (not names and service is None):
        return await explain_absence(question, Signal.METRICS)
    if service is not None:
        names |= set(await service.names(question.window.start, question.window.end))
    near = await ctx.in_thread(_nearest, metric, sorted(names)[:MOST_METRICS])
    lines = (
        fenced([", ".join(safe(name) for name in near)]) if near else ["`find_fields` with signal=metrics lists them."]
    )
    return "\n".join([f"No metric {safe(metric)} in {question.range}; it has {len(names)} others. Nearest:", *lines])


def _nearest(name: str, known: Sequence[str]) -> Sequence[str]:
    """Return the names that are most like a name."""
    folded = {each.lower().replace("_", "."): each for each in known}
    wanted = name[:_LONGEST_NAME].lower().replace("_", ".")  # the comparison of a megabyte takes seconds
    containing = [whole for key, whole in folded.items() if wanted in key]
    close = [folded[key] for key in get_close_matches(wanted, folded, _NEAREST, 0.5)]
    return list(dict.fromkeys([*containing, *close]))[:_NEAREST]
