"""Queries of the points of a metric, whichever kind it has. Rates, resets and quantiles are not computed here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import duckdb

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
from tfo_mcp.application.ports.telemetry_query import Predicate, Selection, Signal
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql, Sql
from tfo_mcp.infrastructure.telemetry_store.tables import METRICS, Table
from tfo_mcp.value_objects import value_object

_MOST_EXEMPLARS = 3
_TEMPORALITIES: Mapping[int, Temporality] = {1: "delta", 2: "cumulative"}
_EXEMPLARS = (
    "list_reverse_sort(list_distinct(flatten(list(list_transform("
    "list_filter(Exemplars, lambda e: e.TraceId <> '' AND isfinite(e.Value)), "
    "lambda e: {v: e.Value, t: epoch_ns(e.TimeUnix), i: e.TraceId, s: e.SpanId})))))"
    f"[:{_MOST_EXEMPLARS}]"
)


@value_object
class _Form:
    """How a kind of point is read: its columns, the number of its values, and its record."""

    columns: Sequence[str]
    size: str
    point: Callable[..., PointValue]


def _summary(count: int, total: float, quantiles: Sequence[Mapping[str, float]]) -> SummaryPoint:
    return SummaryPoint(count, total, tuple((each["Quantile"], each["Value"]) for each in quantiles))


_SHARED = ("Count", "Sum", "Min", "Max")
_NUMBER = _Form(("Value",), "1", lambda value: cast(PointValue, value))
_FORMS: Mapping[MetricKind, _Form] = {
    "gauge": _NUMBER,
    "sum": _NUMBER,
    "histogram": _Form((*_SHARED, "ExplicitBounds", "BucketCounts"), "1 + len(BucketCounts)", HistogramPoint),
    "exponential_histogram": _Form(
        (
            *(*_SHARED, "Scale", "ZeroCount", "ZeroThreshold", "PositiveOffset", "PositiveBucketCounts"),
            *("NegativeOffset", "NegativeBucketCounts"),
        ),
        "1 + len(PositiveBucketCounts) + len(NegativeBucketCounts)",
        ExponentialPoint,
    ),
    "summary": _Form(("Count", "Sum", "ValueAtQuantiles"), "1 + len(ValueAtQuantiles)", _summary),
}


def metric_points(
    cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, name: str, selection: Selection, limit: int
) -> MetricPoints:
    """Return the series of a metric, none if they have more values than `limit`."""
    chosen = SelectionSql(Signal.METRICS, rows).selected(selection) + Sql(" AND MetricName = ?", (name,))
    tables = [(cast(MetricKind, table.name.removeprefix("otel_metrics_")), table) for table in METRICS]
    total = sum(_size(cursor, _FORMS[kind], table, chosen) for kind, table in tables)
    if total > limit:
        return MetricPoints((), total)
    series = [each for kind, table in tables for each in _series(cursor, name, kind, table, chosen)]
    return MetricPoints(series, total)


def _size(cursor: duckdb.DuckDBPyConnection, form: _Form, table: Table, chosen: Sql) -> int:
    ((size,),) = (f"SELECT coalesce(sum({form.size}), 0)::BIGINT FROM {table.name} WHERE " + chosen).run(cursor)
    return int(size)


def _series(
    cursor: duckdb.DuckDBPyConnection, name: str, kind: MetricKind, table: Table, chosen: Sql
) -> Sequence[MetricSeries]:
    form = _FORMS[kind]
    traits = [
        "AggregationTemporality" if "AggregationTemporality" in table.columns else "0",
        "IsMonotonic" if "IsMonotonic" in table.columns else "false",
    ]
    lists = ["epoch_ns(TimeUnix)", "epoch_ns(StartTimeUnix)", *form.columns]
    keys = ["MetricUnit", *traits, "ServiceName", "Attributes", "ResourceAttributes", "ScopeName"]
    listed = ", ".join(f"list({column} ORDER BY TimeUnix)" for column in lists)
    exemplars = _EXEMPLARS if "Exemplars" in table.columns else "[]"
    statement = (
        f"SELECT {', '.join(keys)}, {exemplars}, {listed} FROM {table.name} WHERE "
        + chosen
        + f" GROUP BY {', '.join(key for key in keys if key not in ('0', 'false'))} ORDER BY ServiceName"
    )
    return [_series_of(name, kind, form, row) for row in statement.run(cursor)]


def _series_of(name: str, kind: MetricKind, form: _Form, row: Sequence[Any]) -> MetricSeries:
    unit, temporality, monotonic, service, attributes, resource, _scope, exemplars, times, starts, *columns = row
    return MetricSeries(
        name,
        kind,
        unit,
        _TEMPORALITIES.get(temporality, ""),
        monotonic,
        service,
        attributes,
        resource,
        times,
        starts,
        [form.point(*values) for values in zip(*columns, strict=True)],
        [ExemplarValue(each["v"], each["t"], each["i"], each["s"]) for each in exemplars],
    )
