"""What counters and histograms gain over time, whichever temporality they have, and when they were reset.

A cumulative series counts from its start: the difference of two points is a gain, and a smaller value or a new start is
a reset, after which the value itself is the gain. A delta series consists of gains. Points that were received twice
count once. Knows no steps of time.
"""

from collections.abc import Iterator, Sequence
from math import isfinite

from tfo_mcp.analysis.distributions import ValueDistribution, difference, distribution_of
from tfo_mcp.application.ports.telemetry_metrics import (
    ExponentialPoint,
    HistogramPoint,
    MetricSeries,
    PointValue,
    SummaryPoint,
)
from tfo_mcp.value_objects import value_object

Amount = float | ValueDistribution


@value_object
class Increment:
    """What a series gained between two times; of a gain whose beginning is unknown, both are equal."""

    start: int
    end: int
    amount: Amount


@value_object
class Increments:
    """What a series gained, by time, and how often it was reset."""

    gains: Sequence[Increment]
    resets: int


@value_object
class TimedPoint:
    """A point of a series at a time, and the time from which it counts (0: unknown)."""

    time: int
    start: int
    value: PointValue


def timed_points(series: MetricSeries) -> Iterator[TimedPoint]:
    """Yield the points that have a finite value, each time once."""
    previous = -1
    for time, start, value in zip(series.times, series.starts, series.points, strict=True):
        if time > previous and _is_usable(value):
            previous = time
            yield TimedPoint(time, start, value)


def _is_usable(value: PointValue) -> bool:
    return isfinite(value) if isinstance(value, int | float) else value is not None


def increments_of(series: MetricSeries, since: int) -> Increments:
    """Return what a series gained.

    Args:
        since: time of which all points are known; a series that starts later gained its first value.
    """
    samples = list(timed_points(series))
    if series.temporality == "delta":
        return Increments([_delta(sample) for sample in samples], 0)
    gains, resets = [], 0
    before: TimedPoint | None = None
    for sample in samples:
        if before is None:
            if sample.start > since:
                gains.append(Increment(min(sample.start, sample.time), sample.time, _amount(sample.value)))
        else:
            gain = _gain(sample, before)
            resets += gain is None
            start = before.time if gain is not None else max(before.time, min(sample.start, sample.time))
            gains.append(Increment(start, sample.time, _amount(sample.value) if gain is None else gain))
        before = sample
    return Increments(gains, resets)


def _delta(sample: TimedPoint) -> Increment:
    start = sample.start if 0 < sample.start < sample.time else sample.time
    return Increment(start, sample.time, _amount(sample.value))


def _gain(now: TimedPoint, before: TimedPoint) -> Amount | None:
    """Return the difference of two points, None if the series was reset between them."""
    if now.start > before.start and now.start >= before.time:
        return None
    new, old = now.value, before.value
    if isinstance(new, HistogramPoint | ExponentialPoint) and isinstance(old, HistogramPoint | ExponentialPoint):
        return difference(new, old)
    if isinstance(new, SummaryPoint) and isinstance(old, SummaryPoint):
        gained = new.count - old.count
        return ValueDistribution(gained, new.total - old.total, {}) if gained >= 0 else None
    assert isinstance(new, int | float)
    assert isinstance(old, int | float)
    return new - old if new >= old else None


def _amount(value: PointValue) -> Amount:
    if isinstance(value, HistogramPoint | ExponentialPoint):
        return distribution_of(value)
    if isinstance(value, SummaryPoint):
        return ValueDistribution(value.count, value.total, {})
    assert value is not None
    return value
