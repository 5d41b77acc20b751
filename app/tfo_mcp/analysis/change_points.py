"""Finds where a series of numbers changed its level, and tells levels from a steady slope and from noise.

The part of the series whose mean differs most from the rest begins or ends with a change: circular binary segmentation.
It counts if the medians differ by more than chance explains, given the spread around them and the number of values.
Parts are searched again. Pure; knows no time.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import sqrt
from statistics import fmean, median

from tfo_mcp.value_objects import value_object

_FEWEST = 3
_SURE = 7.0
_LEAST_SHARE = 0.1
"""Share of the larger level that a change must have."""
_MAD = 1.4826
_MEDIAN_ERROR = 1.25
"""Standard error of a median, in those of a mean."""
_FLOOR = 0.01
_MOST = 3


@value_object
class LevelChange:
    """A change of level at a position: the medians before and after it, and its size in standard errors."""

    position: int
    before: float
    after: float
    sigmas: float


@value_object
class Slope:
    """A steady rise or fall: the fitted first and last values."""

    first: float
    last: float


def changes_of(values: Sequence[float]) -> Sequence[LevelChange]:
    """Return up to three changes of level in their order; none if the series is steady, sloped or too short."""
    if slope_of(values) is not None:
        return []
    found: dict[int, float] = {}
    _split(values, _without_spikes(values), 0, found)
    return _levelled(values, found) if found else []


def slope_of(values: Sequence[float]) -> Slope | None:
    """Return the slope of a series that a line describes better than two levels do, None if it is none."""
    count = len(values)
    if count < 2 * _FEWEST + 2:
        return None
    centre, mean = (count - 1) / 2, fmean(values)
    spread = sum((index - centre) ** 2 for index in range(count))
    slope = sum((index - centre) * (value - mean) for index, value in enumerate(values)) / spread
    first, last = mean - slope * centre, mean + slope * centre
    if abs(last - first) < _LEAST_SHARE * max(abs(first), abs(last)) or not slope:
        return None
    off_line = sum((value - first - slope * index) ** 2 for index, value in enumerate(values))
    whole = sum((value - mean) ** 2 for value in values)
    off_levels = min(
        sum((value - fmean(side)) ** 2 for side in (values[:at], values[at:]) for value in side)
        for at in range(1, count)
    )
    return Slope(first, last) if off_line < off_levels and off_line < 0.3 * whole else None


def _split(values: Sequence[float], smooth: Sequence[float], offset: int, found: dict[int, float]) -> None:
    """Add the positions of changes with their sizes in standard errors: the ends of the part that differs most."""
    part = _most_different(smooth)
    if part is None or len(found) >= 2 * _MOST:
        return
    sigmas = _sigmas(values[part[0] : part[1]], [*values[: part[0]], *values[part[1] :]])
    if not sigmas:
        return
    cuts = [cut for cut in part if 0 < cut < len(values)]
    for cut in cuts:
        found[offset + cut] = sigmas
    for start, end in pairwise([0, *cuts, len(values)]):
        _split(values[start:end], smooth[start:end], offset + start, found)


def _most_different(values: Sequence[float]) -> tuple[int, int] | None:
    """Return the part whose mean differs most surely from the mean of the others, None if there are too few values."""
    count = len(values)
    sums = [0.0, *accumulate(values)]
    best, part = 0.0, None
    for start in range(count):
        for end in range(start + _FEWEST, count + 1):
            inside, outside = end - start, count - end + start
            if outside < _FEWEST:
                continue
            within = sums[end] - sums[start]
            gain = (within / inside - (sums[-1] - within) / outside) ** 2 * inside * outside
            if gain > best:
                best, part = gain, (start, end)
    return part


def _sigmas(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Return by how many standard errors the medians of two parts differ, 0 if that may be chance or hardly matters."""
    one, other = median(inside), median(outside)
    spread = _MAD * median([*(abs(each - one) for each in inside), *(abs(each - other) for each in outside)])
    size, shift = max(abs(one), abs(other)), abs(one - other)
    error = _MEDIAN_ERROR * (spread + _FLOOR * size) * sqrt(1 / len(inside) + 1 / len(outside))
    is_noise = not shift or shift < _LEAST_SHARE * size or shift < _SURE * error or shift < 1.5 * spread
    return 0.0 if is_noise else shift / error


def _without_spikes(values: Sequence[float]) -> Sequence[float]:
    """Return each value or the median of it and its neighbours, which removes single spikes and keeps steps."""
    inner = [sorted(values[index - 1 : index + 2])[1] for index in range(1, len(values) - 1)]
    return [*values[:1], *inner, *values[-1:]] if len(values) > 1 else values


def _levelled(values: Sequence[float], found: Mapping[int, float]) -> Sequence[LevelChange]:
    """Return the surest changes with the medians between their neighbours."""
    positions = sorted(sorted(found, key=lambda each: -found[each])[:_MOST])
    levels = [median(values[start:end]) for start, end in pairwise([0, *positions, len(values)])]
    return [
        LevelChange(position, before, after, found[position])
        for position, (before, after) in zip(positions, pairwise(levels), strict=True)
    ]
