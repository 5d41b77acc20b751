"""The tool compare: what changed in a period against the periods before, and where it begins."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Annotated

from pydantic import Field

from tfo_mcp.analysis.attribution import FeatureChange
from tfo_mcp.analysis.changes import Cause, causes_of
from tfo_mcp.analysis.deviations import DURATIONS
from tfo_mcp.analysis.ratios import SEPARATOR
from tfo_mcp.analysis.text import CELL_LIMIT, counted, csv_line
from tfo_mcp.analysis.times import show_duration, show_window
from tfo_mcp.builtin.telemetry.absence import explain_absence
from tfo_mcp.builtin.telemetry.answer import table_answer
from tfo_mcp.builtin.telemetry.arguments import DEFAULT_TO, HINTS, SCOPE, Budget, From, To, Where
from tfo_mcp.builtin.telemetry.question import Question, resolve
from tfo_mcp.plugins import Context, ToolError, tool
from tfo_mcp.plugins.telemetry import FeatureKind, FeatureSeries, Measure, Selection, Signal, TelemetryStore, Window

_DEFAULT_PARTS = 12
"""Lengths of the period before it that are its history."""
_FEWEST_PARTS = 6
"""Parts into which a shorter baseline is divided."""
_SHORTEST_PART = 10**9
_MOST_PARTS = 1000
_MOST_SPANS = 400_000
"""Of the period, and of those before it; further ones make a comparison slower, and hardly surer."""
_CHANGES_PER_SERVICE = 5
_HEADER = "rank,service,change,operation,of,usual,now,spans,sigmas,trace"
_NAMES: dict[FeatureKind, str] = {
    "self_time": "own time",
    "between": "time between client and server",
    "clock": "clock ahead or behind",
    "errors": "failed spans",
    "child": "spans with this call",
    "calls": "calls per span",
    "log": "records of this per span",
    "ratio": "records in a fixed ratio",
    "metric": "metric",
    "level": "metric",
    "value": "spans with this value",
}


@tool(title="Compare periods", hints=HINTS, scope=SCOPE)
async def compare(
    ctx: Context,
    from_: From = "15m ago",
    to: To = DEFAULT_TO,
    baseline: Annotated[str, Field(description="FROM/TO; default: 12 such periods before")] = "",
    where: Where = "",
    budget: Budget = 2000,
) -> str:
    """Explain what changed: rank the services where a failure or slowdown begins, with evidence per operation."""
    question = await resolve(ctx, from_, to, budget, where=where)
    window = question.window
    length = window.end - window.start
    period = await _baseline(ctx, question, baseline, length)
    store = question.store
    before = Selection(period, question.where)
    share_now, share_before = await _one_of(store, question.selection), await _one_of(store, before)
    now = await store.features(question.selection, origin=window.start, length=length, one_of=share_now)
    if not now:
        return await explain_absence(question, Signal.TRACES)
    part_length = _part_length(period, length)
    own = range(ceil(length / part_length))
    history = await store.features(before, origin=window.start, length=part_length, one_of=share_before)
    parts = {part for series in history for part in series.parts if part not in own}
    if not parts:
        return f"No span matches in the baseline {show_window(period)}: choose another `baseline`, as FROM/TO."
    of_length = "this length" if part_length == length else show_duration(part_length)
    head = f"{question.range} against {counted(len(parts), 'period')} of {of_length} in {show_window(period)}"
    if max(share_now, share_before) > 1:
        head += f" (read: 1 of {share_now} traces of the period, 1 of {share_before} of those before)"
    causes = causes_of(now, history, own)
    if not causes:
        return f"{head}: nothing beyond noise in {counted(len(now), 'feature')}"
    head += f": {counted(len(causes), 'service')} changed, the likeliest cause first"
    return table_answer(head, _HEADER, list(_rows(causes)), question.budget, more="Give `where`, or a larger `budget`.")


async def _one_of(store: TelemetryStore, selection: Selection) -> int:
    """Return the N for which reading 1 of N traces gives about 400,000 spans; 1 for fewer spans."""
    counts = await store.aggregate(Signal.TRACES, selection, [Measure("count")])
    spans = sum(row.values[0] or 0 for row in counts.rows)
    return max(1, ceil(spans / _MOST_SPANS))


def _part_length(period: Window, length: int) -> int:
    """Return the length of a part of the history: that of the compared period, or less to have a few parts."""
    return min(length, max(_SHORTEST_PART, (period.end - period.start) // _FEWEST_PARTS))


async def _baseline(ctx: Context, question: Question, text: str, length: int) -> Window:
    if not text.strip():
        return Window(max(0, question.window.start - _DEFAULT_PARTS * length), question.window.start)
    start, separator, end = text.partition("/")
    if not separator:
        raise ToolError("Invalid `baseline`: write FROM/TO, such as 3h ago/1h ago or version:1.4/version:1.5")
    period = (await resolve(ctx, start, end, question.budget)).window
    if period.end - period.start > _MOST_PARTS * length:
        raise ToolError(f"The baseline is longer than {_MOST_PARTS} times the period: choose a shorter one")
    return period


def _rows(causes: Sequence[Cause]) -> Iterator[str]:
    for rank, cause in enumerate(causes, 1):
        for change in cause.changes[:_CHANGES_PER_SERVICE]:
            feature = change.feature
            cells = (_NAMES[feature.kind], feature.operation, _subject(feature), *_values(change))
            yield csv_line((rank, cause.service, *cells, change.count, f"{change.sigmas:.0f}", change.trace_id))


def _subject(feature: FeatureSeries) -> str:
    if feature.kind != "ratio":
        return feature.subject
    return SEPARATOR.join(part[: CELL_LIMIT // 2 - len(SEPARATOR)] for part in feature.subject.split(SEPARATOR))


def _values(change: FeatureChange) -> tuple[str, str]:
    show = show_duration if change.feature.kind in DURATIONS else _number
    return show(change.usual), show(change.now)


def _number(value: float) -> str:
    return f"{value:.3g}"
