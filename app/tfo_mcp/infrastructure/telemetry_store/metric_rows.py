"""Makes rows of OTLP's metric requests: five kinds of points, with exemplars."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from tfo_mcp.infrastructure.telemetry_store.attributes import AttributeReader, service_of
from tfo_mcp.infrastructure.telemetry_store.rows import (
    Rejections,
    RowBatch,
    UnusableRecord,
    hex_id,
    shared_columns,
    usable_time,
)
from tfo_mcp.infrastructure.telemetry_store.tables import (
    EXPONENTIAL_HISTOGRAMS,
    GAUGES,
    HISTOGRAMS,
    SUMMARIES,
    SUMS,
    Table,
)

_MAX_BUCKETS = 4096
_MAX_EXEMPLARS = 64
_MAX_QUANTILES = 256

Row = dict[str, Any]


def add_metrics(
    request: ExportMetricsServiceRequest, batch: RowBatch, rejections: Rejections, reader: AttributeReader
) -> None:
    """Add the points of a request to a batch."""
    rows = _MetricRows(reader)
    for resource_metrics in request.resource_metrics:
        resource = reader.map(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_metrics.scope
            origin: Row = {
                "ServiceName": service_of(resource),
                "ResourceAttributes": resource,
                "ResourceSchemaUrl": reader.text(resource_metrics.schema_url),
                "ScopeName": reader.text(scope.name),
                "ScopeVersion": reader.text(scope.version),
                "ScopeAttributes": reader.map(scope.attributes),
                "ScopeDroppedAttrCount": scope.dropped_attributes_count,
                "ScopeSchemaUrl": reader.text(scope_metrics.schema_url),
            }
            for metric in scope_metrics.metrics:
                rows.add(metric, origin, batch, rejections)


class _MetricRows:
    """Makes the rows of one request."""

    def __init__(self, reader: AttributeReader) -> None:
        self._reader = reader
        self._kinds: Mapping[str, tuple[Table, Callable[[Any], Row]]] = {
            "gauge": (GAUGES, self._number),
            "sum": (SUMS, self._number),
            "histogram": (HISTOGRAMS, self._histogram),
            "exponential_histogram": (EXPONENTIAL_HISTOGRAMS, self._exponential_histogram),
            "summary": (SUMMARIES, self._summary),
        }

    def add(self, metric: Metric, origin: Row, batch: RowBatch, rejections: Rejections) -> None:
        kind = metric.WhichOneof("data")
        if kind is None:
            return  # without points, there is nothing to reject
        table, columns = self._kinds[kind]
        data = getattr(metric, kind)
        shared_row = {
            **origin,
            "MetricName": self._reader.text(metric.name),
            "MetricDescription": self._reader.text(metric.description),
            "MetricUnit": self._reader.text(metric.unit),
        }
        if "AggregationTemporality" in table.columns:
            shared_row["AggregationTemporality"] = data.aggregation_temporality
        if "IsMonotonic" in table.columns:
            shared_row["IsMonotonic"] = data.is_monotonic
        shared = shared_columns(shared_row)
        for point in data.data_points:
            try:
                if not metric.name:
                    raise UnusableRecord("a metric has no name")
                batch.add(table, {**self._common(point), **columns(point)}, shared)
            except UnusableRecord as problem:
                rejections.reasons[str(problem)] += 1

    def _common(self, point: Any) -> Row:
        return {
            "Attributes": self._reader.map(point.attributes),
            "StartTimeUnix": usable_time(point.start_time_unix_nano),
            "TimeUnix": usable_time(point.time_unix_nano),
            "Flags": point.flags,
        }

    def _number(self, point: NumberDataPoint) -> Row:
        return {"Value": _value(point), "Exemplars": self._exemplars(point.exemplars)}

    def _histogram(self, point: HistogramDataPoint) -> Row:
        counts, bounds = _buckets(point.bucket_counts), list(point.explicit_bounds)
        if counts and len(counts) != len(bounds) + 1:
            raise UnusableRecord("a histogram needs one bucket more than bounds")
        return {**self._distribution(point), "BucketCounts": counts, "ExplicitBounds": bounds}

    def _exponential_histogram(self, point: ExponentialHistogramDataPoint) -> Row:
        return {
            **self._distribution(point),
            "Scale": point.scale,
            "ZeroCount": point.zero_count,
            "ZeroThreshold": point.zero_threshold,
            "PositiveOffset": point.positive.offset,
            "PositiveBucketCounts": _buckets(point.positive.bucket_counts),
            "NegativeOffset": point.negative.offset,
            "NegativeBucketCounts": _buckets(point.negative.bucket_counts),
        }

    def _distribution(self, point: HistogramDataPoint | ExponentialHistogramDataPoint) -> Row:
        return {
            "Count": point.count,
            "Sum": point.sum if point.HasField("sum") else None,
            "Min": point.min if point.HasField("min") else None,
            "Max": point.max if point.HasField("max") else None,
            "Exemplars": self._exemplars(point.exemplars),
        }

    def _summary(self, point: SummaryDataPoint) -> Row:
        quantiles = [
            {"Quantile": each.quantile, "Value": each.value} for each in point.quantile_values[:_MAX_QUANTILES]
        ]
        return {"Count": point.count, "Sum": point.sum, "ValueAtQuantiles": quantiles}

    def _exemplars(self, exemplars: Sequence[Exemplar]) -> list[Row]:
        return [
            {
                "FilteredAttributes": self._reader.map(each.filtered_attributes),
                "TimeUnix": usable_time(each.time_unix_nano),
                "Value": _value(each),
                "SpanId": hex_id(each.span_id, 8, "span_id", required=False),
                "TraceId": hex_id(each.trace_id, 16, "trace_id", required=False),
            }
            for each in exemplars[:_MAX_EXEMPLARS]
        ]


def _value(point: NumberDataPoint | Exemplar) -> float | None:
    """Return the value of a point; None if it has none, as at the end of a series."""
    match point.WhichOneof("value"):
        case "as_int":
            return float(point.as_int)
        case "as_double":
            return point.as_double
        case _:
            return None


def _buckets(counts: Sequence[int]) -> list[int]:
    if len(counts) > _MAX_BUCKETS:
        raise UnusableRecord(f"a histogram has more than {_MAX_BUCKETS} buckets")
    return list(counts)
