"""The readings of instruments as metrics of the SDK, and their encoding for OTLP.

Imported with the first export: the metrics of the SDK take 30 ms, which the start of a server can do without.
"""

from time import time_ns
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Metric as MetricData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tfo_mcp.infrastructure.telemetry.instruments import Instruments, Metric


def metrics_data(instruments: Instruments, resource: Resource, scope: InstrumentationScope) -> MetricsData:
    """Return what the instruments read now."""
    now = time_ns()
    metrics = [_metric_data(metric, instruments.started_ns, now) for metric in instruments.read()]
    found = ScopeMetrics(scope, [metric for metric in metrics if metric.data.data_points], "")
    return MetricsData([ResourceMetrics(resource, [found], "")])


def encoded(data: MetricsData) -> bytes:
    """Return the export request for these metrics."""
    return bytes(encode_metrics(data).SerializeToString())


def _metric_data(metric: Metric, started: int, now: int) -> MetricData:
    data: Any
    if metric.bounds:
        points = [
            HistogramDataPoint(
                each.labels,
                started,
                now,
                sum(each.counts),
                each.total,
                each.counts,
                metric.bounds,
                each.least,
                each.most,
            )
            for each in metric.distributions
        ]
        data = HistogramData(points, AggregationTemporality.CUMULATIVE)
    else:
        values = [NumberDataPoint(each.labels, started, now, each.value) for each in metric.readings]
        grows = metric.only_grows
        data = Sum(values, AggregationTemporality.CUMULATIVE, is_monotonic=True) if grows else Gauge(values)
    return MetricData(metric.name, metric.meaning, metric.unit, data)
