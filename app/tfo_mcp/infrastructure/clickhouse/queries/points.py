"""Queries of the points of a metric, whichever kind it has. Rates, resets and quantiles are not computed here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from tfo_mcp.application.ports.telemetry_metrics import (
    ExemplarValue,
    ExponentialPoint,
    HistogramPoint,
    MetricKind,
    MetricPoints,
    MetricSeries,
    PointValue,
    SummaryPoint,
    Temporality,
)
from tfo_mcp.application.ports.telemetry_query import Selection, Signal
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind, nanoseconds
from tfo_mcp.infrastructure.clickhouse.view import View
from tfo_mcp.value_objects import value_object

_MOST_EXEMPLARS = 3
_TEMPORALITIES: Mapping[int, Temporality] = {1: "delta", 2: "cumulative"}
_SIZE = "1 + length(BucketCounts) + length(PositiveBucketCounts) + length(NegativeBucketCounts) + length(Quantiles)"
_EXEMPLARS = (
    "arraySlice(arrayReverseSort(arrayDistinct(arrayFilter(each -> each.3 != '' AND isFinite(each.1), arrayFlatten("
    f"groupArray(arrayZip(ExemplarValues, ExemplarTimes, ExemplarTraces, ExemplarSpans)))))), 1, {_MOST_EXEMPLARS})"
)
_KEYS = ("MetricUnit", "Temporality", "Monotonic", "ServiceName", "ScopeName")


@value_object
class _Form:
    """How a kind of point is read: its columns, and its record."""

    columns: Sequence[str]
    point: Callable[..., PointValue]


def _summary(count: int, total: float, quantiles: Sequence[float], values: Sequence[float]) -> SummaryPoint:
    return SummaryPoint(count, total, tuple(zip(quantiles, values, strict=True)))


_SHARED = ("Count", "Sum", "Min", "Max")
_NUMBER = _Form(("Value",), lambda value: cast(PointValue, value))
_FORMS: Mapping[MetricKind, _Form] = {
    "gauge": _NUMBER,
    "sum": _NUMBER,
    "histogram": _Form((*_SHARED, "ExplicitBounds", "BucketCounts"), HistogramPoint),
    "exponential_histogram": _Form(
        (
            *(*_SHARED, "Scale", "ZeroCount", "ZeroThreshold", "PositiveOffset", "PositiveBucketCounts"),
            *("NegativeOffset", "NegativeBucketCounts"),
        ),
        ExponentialPoint,
    ),
    "summary": _Form(("Count", "Sum", "Quantiles", "QuantileValues"), _summary),
}


async def metric_points(view: View, name: str, selection: Selection, limit: int) -> MetricPoints:
    """Return the series of a metric, none if they have more values than `limit`."""
    chosen = view.records(Signal.METRICS).selected(selection) + " AND MetricName = " + bind(name)
    sizes = {
        cast(MetricKind, kind): int(size)
        for kind, size in await view.ask(f"SELECT Kind, sum({_SIZE})" + chosen + " GROUP BY Kind ORDER BY Kind")
    }
    total = sum(sizes.values())
    if total > limit:
        return MetricPoints((), total)
    return MetricPoints([each for kind in sizes for each in await _series(view, name, kind, chosen)], total)


async def _series(view: View, name: str, kind: MetricKind, chosen: SqlPart) -> Sequence[MetricSeries]:
    form = _FORMS[kind]
    columns = (nanoseconds("TimeUnix"), nanoseconds("StartTimeUnix"), *form.columns)
    keys = ", ".join(_KEYS)
    statement = (
        f"SELECT {keys}, mapSort(Attributes) AS attributes, mapSort(ResourceAttributes) AS resource, {_EXEMPLARS}, "
        f"arraySort(each -> each.1, groupArray(({', '.join(columns)})))"
        + chosen
        + " AND Kind = "
        + bind(kind)
        + f" GROUP BY {keys}, attributes, resource ORDER BY ServiceName, attributes"
    )
    return [_series_of(name, kind, form, row) for row in await view.ask(statement)]


def _series_of(name: str, kind: MetricKind, form: _Form, row: Sequence[Any]) -> MetricSeries:
    unit, temporality, monotonic, service, _scope, attributes, resource, exemplars, points = row
    return MetricSeries(
        name,
        kind,
        unit,
        _TEMPORALITIES.get(temporality, ""),
        bool(monotonic),
        service,
        attributes,
        resource,
        [point[0] for point in points],
        [point[1] for point in points],
        [form.point(*point[2:]) for point in points],
        [ExemplarValue(*exemplar) for exemplar in exemplars],
    )
