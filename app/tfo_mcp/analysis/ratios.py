"""Finds messages and calls of an operation whose numbers have a fixed ratio, and how far a period keeps it.

A loop that logs two messages per round logs both equally often, however many rounds a request needs: the numbers per
span vary, their ratio does not. A path that ends early breaks it. (Invariants of execution logs: Lou et al., USENIX ATC
2010.) Pure: knows neither a store nor how unusual a broken ratio is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, takewhile
from statistics import median

from tfo_mcp.application.ports.telemetry_store import FeatureKind, FeatureSeries

_FEWEST = 5
_STEADY = 0.75
"""Part of the parts in which a number or a ratio must be the same to be fixed."""
_SAME = 0.01
_MOST = 24
"""The most frequent messages and calls of an operation that are compared with each other."""
_LIKE = 20
"""Characters of a common beginning of two messages that are left out of the name of their ratio."""
SEPARATOR = " ÷ "

_Feature = tuple[FeatureKind, str]


def ratios_of(
    now: Iterable[FeatureSeries], history: Iterable[FeatureSeries]
) -> tuple[Sequence[FeatureSeries], Sequence[FeatureSeries]]:
    """Return series of kind ratio of a period and of its history: the part of a fixed ratio that was kept, up to 1."""
    present: dict[tuple[str, str], dict[_Feature, FeatureSeries]] = defaultdict(dict)
    for series in now:
        if series.kind in ("log", "calls"):
            present[series.service, series.operation][series.kind, series.subject] = series
    current, past = [], []
    for operation, varying in _varying(history).items():
        for one, other in _fixed(varying):
            if kept := _kept(one, other, present[operation]):
                current.append(kept)
                past.append(_past(one, other))
    return current, past


def _varying(history: Iterable[FeatureSeries]) -> Mapping[tuple[str, str], Sequence[FeatureSeries]]:
    """Return the messages and calls whose number per span varies, the most frequent first, by operation."""
    found: dict[tuple[str, str], list[FeatureSeries]] = defaultdict(list)
    for series in history:
        if series.kind in ("log", "calls") and len(series.parts) >= _FEWEST and not _is_steady(series.values):
            found[series.service, series.operation].append(series)
    return {operation: sorted(members, key=_fewer)[:_MOST] for operation, members in found.items()}


def _fewer(series: FeatureSeries) -> float:
    return -sum(value * count for value, count in zip(series.values, series.counts, strict=True))


def _fixed(members: Sequence[FeatureSeries]) -> Iterator[tuple[FeatureSeries, FeatureSeries]]:
    """Yield pairs with a fixed ratio; each member is compared with the first one that it follows."""
    following: set[int] = set()
    for (first, one), (second, other) in combinations(enumerate(members), 2):
        if first not in following and second not in following and _is_fixed(one, other):
            following.add(second)
            yield one, other


def _is_fixed(one: FeatureSeries, other: FeatureSeries) -> bool:
    lengths = sorted((len(one.parts), len(other.parts)))
    return lengths[0] >= _STEADY * lengths[1] and _is_steady(list(_ratios(one, other).values()))


def _ratios(one: FeatureSeries, other: FeatureSeries) -> Mapping[int, float]:
    """Return the ratio of two numbers per part in which the first one is not zero."""
    others = dict(zip(other.parts, other.values, strict=True))
    return {part: others.get(part, 0.0) / value for part, value in zip(one.parts, one.values, strict=True) if value}


def _is_steady(values: Sequence[float]) -> bool:
    if len(values) < _FEWEST:
        return False
    middle = median(values)
    return middle > 0 and sum(abs(each - middle) <= _SAME * middle for each in values) >= _STEADY * len(values)


def _agreement(ratio: float, usual: float) -> float:
    return min(ratio, usual) / max(ratio, usual)


def _subject(one: FeatureSeries, other: FeatureSeries) -> str:
    pairs = zip(one.subject, other.subject, strict=False)
    beginning = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    same = beginning if beginning > _LIKE else 0
    return f"{other.subject[same:]}{SEPARATOR}{one.subject[same:]}"


def _past(one: FeatureSeries, other: FeatureSeries) -> FeatureSeries:
    ratios = _ratios(one, other)
    usual = median(ratios.values())
    numbers = _numbers(one, other)
    return replace(
        one,
        kind="ratio",
        subject=_subject(one, other),
        parts=sorted(ratios),
        counts=[numbers[part] for part in sorted(ratios)],
        values=[_agreement(ratios[part], usual) for part in sorted(ratios)],
    )


def _numbers(one: FeatureSeries, other: FeatureSeries) -> Mapping[int, int]:
    """Return the larger of both numbers per part."""
    found: dict[int, int] = defaultdict(int)
    for series in (one, other):
        for part, count, value in zip(series.parts, series.counts, series.values, strict=True):
            found[part] = max(found[part], round(count * value), 1)
    return found


def _kept(one: FeatureSeries, other: FeatureSeries, now: Mapping[_Feature, FeatureSeries]) -> FeatureSeries | None:
    """Return the part of a fixed ratio that the period keeps; None if it has none of both."""
    usual = median(_ratios(one, other).values())
    first, second = now.get((one.kind, one.subject)), now.get((other.kind, other.subject))
    either = first or second
    if either is None:
        return None
    numbers = [0.0 if series is None else series.values[0] * series.counts[0] for series in (first, second)]
    expected = numbers[0] * usual
    value = min(expected, numbers[1]) / max(expected, numbers[1])
    count = max(1, round(max(numbers)))
    return replace(either, kind="ratio", subject=_subject(one, other), counts=[count], values=[value])
