"""PromQL's functions of the values of one series in a range: rates with extrapolation, and statistics.

The definitions are those of Prometheus (promql/functions.go); ranges exclude their first moment, as in its version 3.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from tfo_mcp.analysis.promql_series import SampledSeries

_SECOND = 1e9
_THRESHOLD = 1.1


def latest(series: SampledSeries, time: int, lookback: int) -> float | None:
    """Return the latest value at a time, None if it is older than the lookback."""
    index = bisect_right(series.times, time) - 1
    return series.values[index] if index >= 0 and series.times[index] > time - lookback else None


def over_range(function: str, series: SampledSeries, time: int, length: int) -> float | None:
    """Return a function of the values within `length` nanoseconds before a time, None without enough values."""
    first, end = bisect_right(series.times, time - length), bisect_right(series.times, time)
    times, values = series.times[first:end], series.values[first:end]
    if not values:
        return None
    if (simple := _STATISTICS.get(function)) is not None:
        return simple(values)
    if len(values) < 2:
        return None
    if function == "irate":
        gained = values[-1] if values[-1] < values[-2] else values[-1] - values[-2]
        return gained / (times[-1] - times[-2]) * _SECOND
    return _extrapolated(function, times, values, time, length)


def _extrapolated(function: str, times: Sequence[int], values: Sequence[float], time: int, length: int) -> float:
    is_counter = function != "delta"
    gained = values[-1] - values[0]
    if is_counter:
        gained += sum(before for before, after in pairwise(values) if after < before)
    between = times[-1] - times[0]
    average = between / (len(times) - 1)
    before, after = float(times[0] - time + length), float(time - times[-1])
    before = average / 2 if before >= average * _THRESHOLD else before
    after = average / 2 if after >= average * _THRESHOLD else after
    if is_counter and gained > 0 and values[0] >= 0:
        before = min(before, between * (values[0] / gained))  # a counter was not below zero
    whole = gained * (between + before + after) / between
    return whole / length * _SECOND if function == "rate" else whole


_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "avg_over_time": fmean,
    "min_over_time": min,
    "max_over_time": max,
    "sum_over_time": sum,
    "count_over_time": lambda values: float(len(values)),
    "last_over_time": lambda values: values[-1],
    "changes": lambda values: float(sum(before != after for before, after in pairwise(values))),
    "resets": lambda values: float(sum(after < before for before, after in pairwise(values))),
}
