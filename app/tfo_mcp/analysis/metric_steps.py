"""Cuts a period into equal steps, and series of metrics into their values per step.

A gain of a counter or histogram is spread evenly over the time in which it was gained, so that exports that drift
against the steps make no waves. A level (gauges, and sums that also fall) has the values reported in a step; a series
that misses one step keeps its value. Knows no groups of series.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from tfo_mcp.analysis.distributions import ValueDistribution
from tfo_mcp.analysis.increments import Amount, Increment, increments_of, timed_points
from tfo_mcp.application.ports.telemetry_metrics import MetricSeries
from tfo_mcp.application.ports.telemetry_query import Window
from tfo_mcp.value_objects import value_object

_SECOND = 1_000_000_000
_LENGTHS = tuple(
    seconds * _SECOND
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
)
_MOST_STEPS = 60
_SAMPLED_SERIES = 20


@value_object
class Grid:
    """Steps of `length` nanoseconds from `start` on; the last one may end after the period."""

    start: int
    length: int
    count: int

    @property
    def seconds(self) -> float:
        """The length of a step in seconds."""
        return self.length / _SECOND

    def time(self, index: int) -> int:
        """Return the start of a step."""
        return self.start + index * self.length

    def index(self, time: int) -> int | None:
        """Return the step of a time, None outside of the period."""
        index = (time - self.start) // self.length
        return index if 0 <= index < self.count else None


@value_object
class StepGains:
    """What a series gained per step, None where it reported nothing; and the seconds of each step that it reported."""

    amounts: Sequence[Sequence[Amount]]
    seconds: Sequence[float]
    resets: int


def grid_of(window: Window, series: Sequence[MetricSeries]) -> Grid:
    """Return at most 60 steps that are not shorter than the interval in which the series report."""
    span = window.end - window.start
    least = max(-(-span // _MOST_STEPS), _interval(series))
    length = next((each for each in _LENGTHS if each >= least), -(-least // _LENGTHS[-1]) * _LENGTHS[-1])
    return Grid(window.start, length, -(-span // length))


def levels_of(series: MetricSeries, grid: Grid) -> list[list[float]]:
    """Return the values of each step; of a delta series, the sums since its first point."""
    found: list[list[float]] = [[] for _ in range(grid.count)]
    level = 0.0
    for sample in timed_points(series):
        if not isinstance(sample.value, int | float):
            continue
        index = grid.index(sample.time)
        level = level + sample.value if series.temporality == "delta" else sample.value
        if index is not None:
            found[index].append(level)
    for index in range(1, grid.count - 1):
        if not found[index] and found[index - 1] and found[index + 1]:
            found[index] = found[index - 1][-1:]
    return found


def gains_of(series: MetricSeries, grid: Grid, since: int) -> StepGains:
    """Return what a series gained per step; `since` is the time from which all its points are known."""
    increments = increments_of(series, since)
    amounts: list[list[Amount]] = [[] for _ in range(grid.count)]
    seconds = [0.0] * grid.count
    for increment in increments.gains:
        for index, share, covered in _shares(increment, grid):
            amount = increment.amount
            amounts[index].append(amount.part(share) if isinstance(amount, ValueDistribution) else amount * share)
            seconds[index] = min(grid.seconds, seconds[index] + covered)
    if series.temporality == "delta":
        _fill(seconds, grid.seconds)
    return StepGains(amounts, seconds, increments.resets)


def _fill(seconds: list[float], whole: float) -> None:
    """Count all time between the first and the last gain: a delta series reports nothing if it gained nothing."""
    reported = [index for index, covered in enumerate(seconds) if covered]
    for index in range(reported[0] + 1, reported[-1]) if reported else ():
        seconds[index] = whole


def _shares(increment: Increment, grid: Grid) -> Iterator[tuple[int, float, float]]:
    """Yield the steps of a gain, with the share of it and the seconds that belong to each."""
    length = increment.end - increment.start
    if length <= 0:
        index = grid.index(increment.end)
        if index is not None:
            yield index, 1.0, grid.seconds
        return
    first = max(0, (increment.start - grid.start) // grid.length)
    last = min(grid.count - 1, (increment.end - 1 - grid.start) // grid.length)
    for index in range(first, last + 1):
        start = grid.time(index)
        common = min(increment.end, start + grid.length) - max(increment.start, start)
        if common > 0:
            yield index, common / length, common / _SECOND


def _interval(series: Sequence[MetricSeries]) -> int:
    """Return the interval in which a series usually reports, to the second."""
    between = [
        later - earlier
        for each in series[:_SAMPLED_SERIES]
        for earlier, later in pairwise(each.times)
        if later > earlier
    ]
    return round(median(between) / _SECOND) * _SECOND if between else _SECOND
