"""Tables of measured series: last, least and largest values, the shape over time, and changes of level.

A shape is a digit per part of the period, from 0 (the least value) to 9 (the largest), or a dot without values. Knows
nothing of where series come from.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean

from tfo_mcp.analysis.change_points import LevelChange, changes_of, slope_of
from tfo_mcp.analysis.metric_groups import quantile_of
from tfo_mcp.analysis.metric_steps import Grid
from tfo_mcp.analysis.promql_evaluation import Vector
from tfo_mcp.analysis.text import csv_line, number
from tfo_mcp.analysis.times import show_within
from tfo_mcp.plugins.telemetry import Window
from tfo_mcp.value_objects import value_object

_SHAPE_PARTS = 20
_OF_STEPS = ("last", "min", "max")


@value_object
class MeasuredLine:
    """A line of a table: labels, values per step, figures of the whole period by name, and a trace as example."""

    labels: Sequence[str | None]
    values: Sequence[float | None]
    whole: Mapping[str, float | None]
    trace_id: str = ""


@value_object
class _Judged:
    line: MeasuredLine
    known: Sequence[float]
    change: str
    sigmas: float


def table_of(
    names: Sequence[str], lines: Sequence[MeasuredLine], grid: Grid, window: Window
) -> tuple[str, Sequence[str]]:
    """Return the header and the rows of a table; lines that changed come first, then those with the largest values.

    Args:
        names: of the labels.
        lines: all with the same figures in `whole`; those without values are left out.
    """
    judged = [_judged(line, grid, window) for line in lines if any(value is not None for value in line.values)]
    judged.sort(key=lambda each: (-each.sigmas, -max(map(abs, each.known))))
    has_traces = any(each.line.trace_id for each in judged)
    whole = list(judged[0].line.whole) if judged else []
    of_steps = [name for name in (*_OF_STEPS, "avg", "p95") if name not in whole]
    header = csv_line((*names, *of_steps, *whole, "shape", "change", *(["trace_id"] if has_traces else [])))
    return header, [_row(each, of_steps, has_traces=has_traces) for each in judged]


def vector_table(vector: Vector, grid: Grid, window: Window) -> tuple[str, Sequence[str]]:
    """Return the table of a result of PromQL: a column per label in which series differ."""
    pairs = Counter(pair for labels in vector for pair in labels)
    shown = {name for (name, _), count in pairs.items() if count < len(vector) or len(vector) == 1}
    names = sorted(shown)
    finite = {
        labels: [value if value is not None and isfinite(value) else None for value in values]
        for labels, values in vector.items()
    }
    lines = [
        MeasuredLine([dict(labels).get(name, "") for name in names], values, {}) for labels, values in finite.items()
    ]
    return table_of(names, lines, grid, window)


def _judged(line: MeasuredLine, grid: Grid, window: Window) -> _Judged:
    present = [(index, value) for index, value in enumerate(line.values) if value is not None]
    known = [value for _, value in present]
    changes = changes_of(known)
    if changes:
        shown = "; ".join(_change(change, grid.time(present[change.position][0]), window) for change in changes)
        return _Judged(line, known, shown, max(change.sigmas for change in changes))
    slope = slope_of(known)
    if slope is None:
        return _Judged(line, known, "", 0.0)
    word = "rises" if slope.last > slope.first else "falls"
    return _Judged(line, known, f"{word} {number(slope.first)} to {number(slope.last)}", 1.0)


def _change(change: LevelChange, time: int, window: Window) -> str:
    return f"{show_within(time, window)} {number(change.before)} to {number(change.after)}"


def _row(judged: _Judged, of_steps: Sequence[str], *, has_traces: bool) -> str:
    known, line = judged.known, judged.line
    figures = {
        "last": known[-1],
        "min": min(known),
        "max": max(known),
        "avg": fmean(known),
        "p95": quantile_of(known, 0.95),
    }
    return csv_line(
        (
            *("(none)" if label is None else label for label in line.labels),
            *(_float(figures[name]) for name in of_steps),
            *(_float(value) for value in line.whole.values()),
            _shape(line.values),
            judged.change,
            *([line.trace_id] if has_traces else []),
        )
    )


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _shape(values: Sequence[float | None]) -> str:
    if None not in values and len(set(values)) == 1:
        return "flat"
    parts = min(_SHAPE_PARTS, len(values))
    means: list[float | None] = []
    for part in range(parts):
        chunk = values[part * len(values) // parts : (part + 1) * len(values) // parts]
        known = [value for value in chunk if value is not None]
        means.append(fmean(known) if known else None)
    low = min(mean for mean in means if mean is not None)
    high = max(mean for mean in means if mean is not None)
    size = high - low
    return "".join("." if mean is None else str(round(9 * (mean - low) / size)) if size else "0" for mean in means)
