"""Instruments: histograms, counters and gauges in this process, read by exporters.

Recording is only a lookup and an addition, since every call does it; the instruments of the SDK would cost a fifth of a
call (docs/adr/0013). Written in the event loop, read from any thread. Must not know exporters.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import time_ns

from tfo_mcp.value_objects import value_object

_MOST_SERIES = 2000
OVERFLOW = "otel.metric.overflow"
"""Label of the series that collects values beyond the series limit (OpenTelemetry specification, metrics SDK)."""

Labels = tuple[str | None, ...]


@value_object
class Reading:
    """One value with its labels."""

    labels: Mapping[str, str]
    value: float


@value_object
class Distribution:
    """A histogram series: `counts` per bucket, the last one above all bounds; sum, minimum and maximum."""

    labels: Mapping[str, str]
    counts: Sequence[int]
    total: float
    least: float
    most: float


@value_object
class Metric:
    """A snapshot of a metric: its values, or its distributions with the bucket bounds `bounds`."""

    name: str
    unit: str
    meaning: str
    label_names: Sequence[str]
    readings: Sequence[Reading] = ()
    distributions: Sequence[Distribution] = ()
    bounds: Sequence[float] = ()
    only_grows: bool = False


class _Series:
    __slots__ = ("counts", "least", "most", "total")

    def __init__(self, size: int) -> None:
        self.counts = [0] * size
        self.total = 0.0
        self.least = float("inf")
        self.most = float("-inf")


class Histogram:
    """Distributions by label values, which are in the order of `label_names`; None means a missing label."""

    def __init__(self, name: str, unit: str, meaning: str, label_names: Sequence[str], bounds: Sequence[float]) -> None:
        self.name, self.unit, self.meaning = name, unit, meaning
        self._label_names, self._bounds = tuple(label_names), tuple(bounds)
        self._series: dict[Labels | None, _Series] = {}

    def record(self, labels: Labels, value: float) -> None:
        """Add a value."""
        series = self._series.get(labels)
        if series is None:
            key = labels if len(self._series) < _MOST_SERIES else None
            series = self._series.setdefault(key, _Series(len(self._bounds) + 1))
        series.counts[bisect_left(self._bounds, value)] += 1
        series.total += value
        series.least = min(series.least, value)
        series.most = max(series.most, value)

    def read(self) -> Metric:
        """Return a snapshot of the distributions."""
        found = [
            Distribution(
                _named(self._label_names, labels), tuple(series.counts), series.total, series.least, series.most
            )
            for labels, series in tuple(self._series.items())
        ]
        names = _names_of(self._label_names, self._series)
        return Metric(self.name, self.unit, self.meaning, names, distributions=found, bounds=self._bounds)


class Counter:
    """Monotonic sums by label values."""

    def __init__(self, name: str, unit: str, meaning: str, label_names: Sequence[str]) -> None:
        self.name, self.unit, self.meaning = name, unit, meaning
        self._label_names = tuple(label_names)
        self._sums: dict[Labels | None, float] = {}

    def add(self, labels: Labels, by: float = 1) -> None:
        """Add to a sum."""
        key = labels if labels in self._sums or len(self._sums) < _MOST_SERIES else None
        self._sums[key] = self._sums.get(key, 0) + by

    def read(self) -> Metric:
        """Return a snapshot of the sums."""
        found = [Reading(_named(self._label_names, labels), value) for labels, value in tuple(self._sums.items())]
        names = _names_of(self._label_names, self._sums)
        return Metric(self.name, self.unit, self.meaning, names, found, only_grows=True)


class Observed:
    """Values that callbacks return when they are read: gauges, or monotonic sums kept elsewhere."""

    def __init__(self, name: str, unit: str, meaning: str, *, only_grows: bool) -> None:
        self.name, self.unit, self.meaning = name, unit, meaning
        self._only_grows = only_grows
        self._reads: list[tuple[Mapping[str, str], Callable[[], float]]] = []

    def add(self, labels: Mapping[str, str], read: Callable[[], float]) -> None:
        """Add a callback with its labels; it is called from any thread."""
        self._reads.append((labels, read))

    def read(self) -> Metric:
        """Call the callbacks and return their values."""
        names = tuple(self._reads[0][0]) if self._reads else ()
        found = [Reading(labels, float(read())) for labels, read in self._reads]
        return Metric(self.name, self.unit, self.meaning, names, found, only_grows=self._only_grows)


class Instruments:
    """All instruments of this process."""

    def __init__(self) -> None:
        self.started_ns = time_ns()
        self._all: dict[str, Histogram | Counter | Observed] = {}

    def histogram(
        self, name: str, unit: str, meaning: str, label_names: Sequence[str], bounds: Sequence[float]
    ) -> Histogram:
        """Return a new histogram."""
        instrument = Histogram(name, unit, meaning, label_names, bounds)
        self._all[name] = instrument
        return instrument

    def counter(self, name: str, unit: str, meaning: str, label_names: Sequence[str]) -> Counter:
        """Return a new counter."""
        instrument = Counter(name, unit, meaning, label_names)
        self._all[name] = instrument
        return instrument

    def observed(self, name: str, unit: str, meaning: str, *, only_grows: bool = False) -> Observed:
        """Return the gauge, or the monotonic sum, with that name; create it if needed."""
        instrument = self._all.get(name)
        if not isinstance(instrument, Observed):
            instrument = self._all[name] = Observed(name, unit, meaning, only_grows=only_grows)
        return instrument

    def read(self) -> Iterator[Metric]:
        """Yield a snapshot of every instrument."""
        for instrument in tuple(self._all.values()):
            yield instrument.read()


def _named(names: Sequence[str], labels: Labels | None) -> Mapping[str, str]:
    if labels is None:
        return {OVERFLOW: "true"}
    return {name: value for name, value in zip(names, labels, strict=True) if value is not None}


def _names_of(names: Sequence[str], series: Mapping[Labels | None, object]) -> Sequence[str]:
    return (*names, OVERFLOW) if None in series else names
