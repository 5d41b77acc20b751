"""Reports: the metrics of each worker process as bytes that the others can read, and their sum.

Counters and histograms are added up, of ended workers too, so that they never decrease. Gauges are those of workers
that serve. Must not know processes or exporters.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import add
from typing import Protocol, TypeVar

from pydantic import TypeAdapter

from tfo_mcp.infrastructure.telemetry.instruments import Distribution, Instruments, Metric, Reading

_SMALLEST = frozenset({"tfo_mcp.ready"})
"""Gauges whose smallest value stands for all workers."""
_LARGEST = frozenset({"tfo_mcp.outbox.lag"})
"""Gauges whose largest value does."""
_adapter = TypeAdapter(tuple[Metric, ...])


_SeriesT = TypeVar("_SeriesT", Reading, Distribution)


class ReportBoard(Protocol):
    """Where the workers leave their reports."""

    def publish(self, report: bytes) -> None:
        """Replace the report of this worker."""

    def reports(self) -> Sequence[tuple[bytes, bool]]:
        """Return the latest report of each worker, and whether it serves; the report of one that has ended stays."""

    def inherited(self) -> bytes | None:
        """Return the last report of the worker that this one has replaced, None if it is the first in its place."""


class WorkerMetrics:
    """The metrics of all workers of a server, as one of them reads them.

    A worker continues the counters of the one that it has replaced.
    """

    def __init__(self, instruments: Instruments, board: ReportBoard) -> None:
        self._instruments = instruments
        self._board = board
        inherited = board.inherited()
        self._inherited = [] if inherited is None else _cumulative(_adapter.validate_json(inherited))

    def publish(self) -> None:
        """Leave a report for the other workers."""
        own = _merged([self._inherited, self._instruments.read()])
        self._board.publish(_adapter.dump_json(tuple(own)))

    def read(self) -> Iterator[Metric]:
        """Yield the metrics of all workers: this one's now, the others' as of their latest reports."""
        self.publish()
        reports = [(_adapter.validate_json(report), serves) for report, serves in self._board.reports()]
        yield from _merged(metrics if serves else _cumulative(metrics) for metrics, serves in reports)


def _cumulative(metrics: Iterable[Metric]) -> list[Metric]:
    """Return counters and histograms only: gauges end with their process."""
    return [metric for metric in metrics if metric.only_grows or metric.bounds]


def _merged(reports: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Return one metric for each name, with the values of all reports."""
    by_name: dict[str, Metric] = {}
    for report in reports:
        for metric in report:
            before = by_name.get(metric.name)
            by_name[metric.name] = metric if before is None else _joined(before, metric)
    return list(by_name.values())


def _joined(one: Metric, other: Metric) -> Metric:
    combine: Callable[[float, float], float] = add
    if one.name in _SMALLEST | _LARGEST:
        combine = min if one.name in _SMALLEST else max
    return replace(
        one,
        label_names=tuple(dict.fromkeys((*one.label_names, *other.label_names))),
        readings=_by_labels([*one.readings, *other.readings], lambda a, b: replace(a, value=combine(a.value, b.value))),
        distributions=_by_labels([*one.distributions, *other.distributions], _sum),
    )


def _by_labels(series: Iterable[_SeriesT], combine: Callable[[_SeriesT, _SeriesT], _SeriesT]) -> tuple[_SeriesT, ...]:
    """Return the series, those with the same labels combined."""
    found: dict[frozenset[tuple[str, str]], _SeriesT] = {}
    for each in series:
        labels = frozenset(each.labels.items())
        found[labels] = combine(found[labels], each) if labels in found else each
    return tuple(found.values())


def _sum(one: Distribution, other: Distribution) -> Distribution:
    return Distribution(
        one.labels,
        tuple(a + b for a, b in zip(one.counts, other.counts, strict=True)),
        one.total + other.total,
        min(one.least, other.least),
        max(one.most, other.most),
    )
