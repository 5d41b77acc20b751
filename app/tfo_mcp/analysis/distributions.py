"""Distributions of values from histograms of any kind: differences, sums, quantiles.

A distribution is a set of intervals with numbers of values. Intervals of several histograms may differ and overlap:
buckets chosen by programs, and exponential buckets of any scale, add up. Values are taken to be spread evenly within
their interval, as Prometheus does, so that a quantile is exact to its bucket. Knows no time and no store.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from tfo_mcp.application.ports.telemetry_metrics import ExponentialPoint, HistogramPoint
from tfo_mcp.value_objects import value_object

Interval = tuple[float, float]
BucketPoint = HistogramPoint | ExponentialPoint
_MOST_EXPONENT = 1023
"""Powers of two that are floats."""


@value_object
class ValueDistribution:
    """Numbers of values per interval `(above, up to]`; of an interval without length, at that value.

    `count` and `total` are the number and the sum of all values; `total` is None if it is unknown.
    """

    count: float
    total: float | None
    intervals: Mapping[Interval, float]

    @property
    def mean(self) -> float | None:
        """The arithmetic mean, None if it is unknown."""
        return None if self.total is None or not self.count else self.total / self.count

    def part(self, share: float) -> "ValueDistribution":
        """Return a share of the values."""
        if share == 1:
            return self
        total = None if self.total is None else share * self.total
        return ValueDistribution(share * self.count, total, {key: share * each for key, each in self.intervals.items()})

    def quantile(self, quantile: float) -> float | None:
        """Return the value below which a share of the values is, None without any interval."""
        edges: dict[float, list[float]] = defaultdict(lambda: [0.0, 0.0])
        whole = 0.0
        for (low, high), count in self.intervals.items():
            if count > 0:
                whole += count
                if low == high:
                    edges[low][0] += count
                else:
                    edges[low][1] += count / (high - low)
                    edges[high][1] -= count / (high - low)
        return _crossing(edges, quantile * whole) if whole else None


def distribution_of(point: BucketPoint) -> ValueDistribution:
    """Return the distribution of a point as it stands."""
    return ValueDistribution(point.count, point.total, _intervals(point))


def difference(now: BucketPoint, before: BucketPoint) -> ValueDistribution | None:
    """Return the values that a cumulative histogram gained between two points, None if it was reset between them."""
    if now.count < before.count:
        return None
    gained = _gained(now, before)
    if gained is None or any(count < 0 for count in gained.values()):
        return None
    total = None if now.total is None or before.total is None else now.total - before.total
    intervals = {interval: count for interval, count in gained.items() if count}
    return ValueDistribution(now.count - before.count, total, intervals)


def merged(distributions: Iterable[ValueDistribution]) -> ValueDistribution:
    """Return the distribution of the values of all."""
    count, total, intervals = 0.0, 0.0, defaultdict[Interval, float](float)
    is_total_known = True
    for each in distributions:
        count += each.count
        is_total_known = is_total_known and each.total is not None
        total += each.total or 0.0
        for interval, values in each.intervals.items():
            intervals[interval] += values
    return ValueDistribution(count, total if is_total_known else None, intervals)


def _crossing(edges: Mapping[float, Sequence[float]], target: float) -> float:
    """Return where the number of values reaches a target; edges hold values at a point and a change of density."""
    reached = density = previous = 0.0
    for edge in sorted(edges):
        if density > 0:
            gained = density * (edge - previous)
            if reached + gained >= target:
                return min(edge, previous + (target - reached) / density)
            reached += gained
        at, change = edges[edge]
        reached += at
        if at and reached >= target:
            return edge
        density += change
        previous = edge
    return previous


def _intervals(point: BucketPoint) -> dict[Interval, float]:
    if isinstance(point, HistogramPoint):
        return _named(point, enumerate(point.counts))
    return _exponential_intervals(point, point.scale, _indexed(point, point.scale))


def _gained(now: BucketPoint, before: BucketPoint) -> dict[Interval, float] | None:
    if isinstance(now, HistogramPoint):
        if not isinstance(before, HistogramPoint) or (now.bounds, len(now.counts)) != (
            before.bounds,
            len(before.counts),
        ):
            return None
        return _named(now, enumerate(new - old for new, old in zip(now.counts, before.counts, strict=True)))
    if not isinstance(before, ExponentialPoint):
        return None
    scale = min(now.scale, before.scale)
    counts, known = _indexed(now, scale), _indexed(before, scale)
    return _exponential_intervals(
        now, scale, {key: counts.get(key, 0) - known.get(key, 0) for key in counts.keys() | known.keys()}
    )


def _named(point: HistogramPoint, counts: Iterable[tuple[int, int]]) -> dict[Interval, float]:
    """Return numbers of values by the interval of their bucket; outermost buckets end at what is known."""
    bounds = point.bounds
    if not bounds:
        ends = (point.least, point.most)
        counted = sum(count for _, count in counts) if point.counts else point.count
        return {} if ends[0] is None or ends[1] is None else {(ends[0], ends[1]): counted}
    found: dict[Interval, float] = {}
    for index, count in counts:
        low = bounds[index - 1] if index else (0.0 if bounds[0] > 0 else -inf)
        high = bounds[index] if index < len(bounds) else inf
        if count:
            interval = _closed(low, high, point)
            found[interval] = found.get(interval, 0) + count
    return found


def _closed(low: float, high: float, point: BucketPoint) -> Interval:
    """Return an interval within the least and the largest value, if these are known, and without infinite ends."""
    if point.least is not None and point.most is not None and low < point.most and high > point.least:
        low, high = max(low, point.least), min(high, point.most)
    if low == -inf:
        low = high
    return low, low if high == inf else high


def _indexed(point: ExponentialPoint, scale: int) -> dict[tuple[int, int], int]:
    """Return numbers of values by sign and index of the bucket in a scale that is not finer than the point's."""
    found: dict[tuple[int, int], int] = {(0, 0): point.zeros} if point.zeros else {}
    shift = point.scale - scale
    sides = ((1, point.positive_offset, point.positive), (-1, point.negative_offset, point.negative))
    for sign, offset, counts in sides:
        for position, count in enumerate(counts):
            if count:
                key = (sign, (offset + position) >> shift)
                found[key] = found.get(key, 0) + count
    return found


def _exponential_intervals(
    point: ExponentialPoint, scale: int, counts: Mapping[tuple[int, int], int]
) -> dict[Interval, float]:
    found: dict[Interval, float] = {}
    for (sign, index), count in counts.items():
        if not sign:
            interval = (-point.zero_threshold, point.zero_threshold)
        else:
            near, far = _power(scale, index), _power(scale, index + 1)
            interval = _closed(near, far, point) if sign > 0 else _closed(-far, -near, point)
        found[interval] = found.get(interval, 0) + count
    return found


def _power(scale: int, index: int) -> float:
    """Return the bound of a bucket: `2 ** (2 ** -scale)` to the power of an index."""
    exponent: float = index * 2.0**-scale
    return float(2.0 ** max(-_MOST_EXPONENT, min(exponent, _MOST_EXPONENT)))
