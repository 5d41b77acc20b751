"""How unusual a value of a feature is, in units of what is usual for the feature (sigmas).

A unit is the spread of the history (its median deviation), the chance of a number with so few spans, and a floor under
which a difference matters to nobody. The floors hold for every feature of a kind; none was fitted to a program.
Pure: knows neither services nor how features are attributed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import log, sqrt
from statistics import median

from tfo_mcp.application.ports.telemetry_store import FeatureKind

NOISE = 4.0
"""Sigmas that a change must have."""
_MOST = 40.0
"""Sigmas after which more is not surer."""
_MAD = 1.4826
"""The standard deviation of a normal distribution in median deviations."""
_FEWEST = 5
_SMALLEST, _SHORTEST = 1e6, 1e5
"""Nanoseconds: a smaller increase is none, and shorter durations are equal."""
_SHARE_FLOOR, _LOG_FLOOR, _GAUGE_FLOOR = 0.03, 0.15, 0.3
_RATIO_FLOOR = 0.01
"""The difference up to which a ratio counts as fixed."""
_LEAST_LEVEL = 1.0
"""Sums that also fall count things: a smaller change is none."""
_LEAST_VARIANCE = 0.01
_REACH = 0.5
DURATIONS: frozenset[FeatureKind] = frozenset({"self_time", "between", "clock"})
"""Kinds of which the values are nanoseconds."""


class FeatureHistory:
    """The values of a feature in the parts of the baseline.

    Args:
        kind: of the feature.
        values: the value per part; not empty.
        counts: the spans per part; a part without one counts as one span.
        typical: what is usual for this metric in all services; only for metrics and levels.
    """

    def __init__(
        self, kind: FeatureKind, values: Mapping[int, float], counts: Mapping[int, int], typical: float = 0.0
    ) -> None:
        self._values = values
        self._counts = counts
        self._total = sum(counts.get(part, 1) for part in values)
        self._typical = max(typical, _LEAST_LEVEL) if kind == "level" else typical
        self.usual = median(values.values())
        self._spread = _spread(list(values.values()))
        judges: Mapping[FeatureKind, Callable[[float, int], float]] = {
            **dict.fromkeys(DURATIONS, self._duration),
            "metric": self._gauge,
            "level": self._gauge,
        }
        self._judge = judges.get(kind, self._share)
        self._floor = _RATIO_FLOOR if kind == "ratio" else _SHARE_FLOOR
        self._logs = _logarithms(values.values()) if kind in DURATIONS else []

    def sigmas(self, value: float, count: int) -> float:
        """Return how far a value of `count` spans is from the usual one."""
        return 0.0 if value == self.usual else min(_MOST, self._judge(value, count))

    def rarity(self, value: float) -> float:
        """Return 1 if no part was as far from the usual value in this direction, less the more parts were."""
        distance = value - self.usual
        reach = _REACH * abs(distance)
        as_far = sum(
            (each - self.usual) * distance > 0 and abs(each - self.usual) >= reach for each in self._values.values()
        )
        return _scarcity(as_far, len(self._values))

    def past(self) -> Iterator[tuple[int, float]]:
        """Yield the parts with the sigmas of their own values."""
        return ((part, self.sigmas(value, self._counts.get(part, 1))) for part, value in self._values.items())

    def _duration(self, value: float, count: int) -> float:
        if value - self.usual < _SMALLEST or count < _FEWEST:
            return 0.0
        distance = abs(log(max(value, _SHORTEST)) - median(self._logs))
        return distance / (_spread(self._logs) + _LOG_FLOOR)

    def _gauge(self, value: float, count: int) -> float:
        """Judge a gauge: it must leave its usual value by that value, and by what is usual in other services."""
        scale = max(abs(self.usual), self._typical)
        distance = abs(value - self.usual)
        if len(self._values) < _FEWEST or distance < scale:
            return 0.0
        return distance / (self._spread + _GAUGE_FLOOR * scale + 1e-9)

    def _share(self, value: float, count: int) -> float:
        """Judge a share of the spans, or a number per span, which is judged relative to the usual one above 1."""
        unit = max(1.0, self.usual)
        usual = self.usual / unit
        shrunk = (usual * self._total + 0.5) / (self._total + 1)
        chance = sqrt(max(shrunk * (1 - shrunk), _LEAST_VARIANCE) / count)
        return abs(value / unit - usual) / (self._spread / unit + chance + self._floor)


def scarcity(value: float, past: Sequence[float]) -> float:
    """Return 1 if no sigmas of the past reach a part of a value, less the more do, and 0 if all do."""
    return _scarcity(sum(each >= _REACH * value for each in past), len(past))


def _scarcity(hits: int, parts: int) -> float:
    return log((parts + 1) / (hits + 1)) / log(parts + 1) if parts else 1.0


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return _MAD * median(abs(each - middle) for each in values)


def _logarithms(values: Iterable[float]) -> Sequence[float]:
    return [log(max(each, _SHORTEST)) for each in values]
