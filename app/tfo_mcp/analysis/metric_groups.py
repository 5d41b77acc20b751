"""Combines series of a metric into groups and measures them per step and over the whole period.

What a statistic means depends on the kind of the metric: the 95th percentile of a histogram is that of its values, of a
gauge that of the reported values, of a counter that of the rates of its series. Knows no text of answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import floor, isfinite
from statistics import fmean
from typing import Literal

from tfo_mcp.analysis.distributions import ValueDistribution, merged
from tfo_mcp.analysis.increments import timed_points
from tfo_mcp.analysis.metric_steps import Grid, StepGains, gains_of, levels_of
from tfo_mcp.application.ports.telemetry_metrics import MetricSeries, SummaryPoint
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.value_objects import value_object

Statistic = Literal["avg", "sum", "min", "max", "rate", "increase", "p50", "p90", "p95", "p99"]
Family = Literal["gauge", "counter", "histogram", "summary"]
Labels = tuple[str | None, ...]
_QUANTILES: Mapping[str, float] = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
DEFAULTS: Mapping[Family, Statistic] = {"gauge": "avg", "counter": "rate", "histogram": "p95", "summary": "p95"}


@value_object
class MetricGroup:
    """The values of a group of series per step, None without any; `whole` are figures of the period by their names."""

    labels: Labels
    series: int
    values: Sequence[float | None]
    whole: Mapping[str, float | None]
    trace_id: str
    resets: int


def family_of(series: MetricSeries) -> Family:
    """Return how a series is measured: a sum that also falls is a gauge, all histograms are one family."""
    match series.kind:
        case "gauge" | "summary":
            return series.kind
        case "sum":
            return "counter" if series.monotonic else "gauge"
        case _:
            return "histogram"


def default_statistic(series: MetricSeries) -> Statistic:
    """Return the statistic that tells most: the sum of sums that also fall, otherwise by family."""
    return "sum" if series.kind == "sum" and not series.monotonic else DEFAULTS[family_of(series)]


def groups_of(
    grouped: Mapping[Labels, Sequence[MetricSeries]], statistic: Statistic, grid: Grid, since: int
) -> Sequence[MetricGroup]:
    """Return the measured groups.

    Args:
        grouped: series of one family by the labels of their group.
        since: time from which all points are known, in nanoseconds.

    Raises:
        OperationFailed: the family has no such statistic.
    """
    measure = {"gauge": _levels, "counter": _counters, "histogram": _histograms, "summary": _summaries}
    return [
        measure[family_of(series[0])](labels, series, statistic, grid, since)
        for labels, series in grouped.items()
        if series
    ]


def quantile_of(values: Iterable[float], quantile: float) -> float | None:
    """Return a quantile of numbers, between neighbours by their distance; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    position = quantile * (len(ordered) - 1)
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _levels(
    labels: Labels, series: Sequence[MetricSeries], statistic: Statistic, grid: Grid, _since: int
) -> MetricGroup:
    if statistic in ("rate", "increase"):
        raise OperationFailed(f"{statistic} needs a counter or a histogram; {series[0].name} is a {series[0].kind}")
    levels = [levels_of(each, grid) for each in series]
    values: list[float | None] = []
    for step in zip(*levels, strict=True):
        if statistic in ("avg", "sum"):
            means = [fmean(each) for each in step if each]
            values.append(_folded(statistic, means))
        else:
            values.append(quantile_of((value for each in step for value in each), _QUANTILES[statistic]))
    return _group(labels, series, values, grid, {})


def _counters(
    labels: Labels, series: Sequence[MetricSeries], statistic: Statistic, grid: Grid, since: int
) -> MetricGroup:
    gains = [gains_of(each, grid, since) for each in series]
    values: list[float | None] = []
    for index in range(grid.count):
        amounts = [_number(each, index) for each in gains if each.seconds[index]]
        rates = [_number(each, index) / each.seconds[index] for each in gains if each.seconds[index]]
        if statistic == "increase":
            values.append(_folded("sum", amounts))
        elif statistic in ("rate", "sum", "avg"):
            values.append(_folded("avg" if statistic == "avg" else "sum", rates))
        else:
            values.append(quantile_of(rates, _QUANTILES[statistic]))
    total = sum(_number(each, index) for each in gains for index in range(grid.count))
    resets = sum(each.resets for each in gains)
    return _group(labels, series, values, grid, {"total": total}, resets)


def _histograms(
    labels: Labels, series: Sequence[MetricSeries], statistic: Statistic, grid: Grid, since: int
) -> MetricGroup:
    gains = [gains_of(each, grid, since) for each in series]
    steps = [merged(part for each in gains for part in _distributions(each, index)) for index in range(grid.count)]
    values = [_measured(step, gains, index, statistic) for index, step in enumerate(steps)]
    period = merged(step for step in steps if step.count)
    whole = {name: period.quantile(_QUANTILES[name]) for name in ("p50", "p95", "p99")}
    resets = sum(each.resets for each in gains)
    return _group(labels, series, values, grid, {"count": period.count, "avg": period.mean, **whole}, resets)


def _summaries(
    labels: Labels, series: Sequence[MetricSeries], statistic: Statistic, grid: Grid, since: int
) -> MetricGroup:
    gains = [gains_of(each, grid, since) for each in series]
    steps = [merged(part for each in gains for part in _distributions(each, index)) for index in range(grid.count)]
    if statistic in _QUANTILES:
        values = _reported(series, _QUANTILES[statistic], grid)
    else:
        values = [_measured(step, gains, index, statistic) for index, step in enumerate(steps)]
    period = merged(step for step in steps if step.count)
    resets = sum(each.resets for each in gains)
    return _group(labels, series, values, grid, {"count": period.count, "avg": period.mean}, resets)


def _measured(step: ValueDistribution, gains: Sequence[StepGains], index: int, statistic: Statistic) -> float | None:
    reporting = [each for each in gains if each.seconds[index]]
    if not reporting:
        return None
    match statistic:
        case "rate":
            return sum(merged(_distributions(each, index)).count / each.seconds[index] for each in reporting)
        case "increase":
            return step.count
        case "avg":
            return step.mean
        case "sum":
            return step.total
        case _:
            return step.quantile(_QUANTILES[statistic])


def _reported(series: Sequence[MetricSeries], quantile: float, grid: Grid) -> list[float | None]:
    """Return the largest value that any series reported for a quantile, per step: quantiles cannot be added up."""
    found: dict[int, float] = {}
    known: set[float] = set()
    for each in series:
        for sample in timed_points(each):
            index = grid.index(sample.time)
            if index is None or not isinstance(sample.value, SummaryPoint):
                continue
            known.update(at for at, _ in sample.value.quantiles)
            for at, value in sample.value.quantiles:
                if abs(at - quantile) < 1e-9 and isfinite(value):
                    found[index] = max(found.get(index, value), value)
    if not found and known:
        shown = ", ".join(f"{100 * at:g}" for at in sorted(known))
        raise OperationFailed(f"The summary {series[0].name} has the percentiles {shown} only")
    return [found.get(index) for index in range(grid.count)]


def _group(
    labels: Labels,
    series: Sequence[MetricSeries],
    values: Sequence[float | None],
    grid: Grid,
    whole: Mapping[str, float | None],
    resets: int = 0,
) -> MetricGroup:
    exemplars = [
        (exemplar.value, exemplar.trace_id)
        for each in series
        for exemplar in each.exemplars
        if grid.index(exemplar.time) is not None
    ]
    return MetricGroup(labels, len(series), values, whole, max(exemplars, default=(0.0, ""))[1], resets)


def _folded(function: Literal["avg", "sum"], values: Sequence[float]) -> float | None:
    if not values:
        return None
    return sum(values) if function == "sum" else fmean(values)


def _number(gains: StepGains, index: int) -> float:
    return sum(amount for amount in gains.amounts[index] if not isinstance(amount, ValueDistribution))


def _distributions(gains: StepGains, index: int) -> list[ValueDistribution]:
    return [amount for amount in gains.amounts[index] if isinstance(amount, ValueDistribution)]
