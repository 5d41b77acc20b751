"""Exposition: renders metrics in the text format of Prometheus.

Owns the translation of metric names and labels. Must not know HTTP.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tfo_mcp.infrastructure.telemetry import instruments

_UNITS = {"s": "_seconds"}


class Exposition(Collector):
    """Renders metrics for Prometheus; `read` returns their current values."""

    def __init__(self, read: Callable[[], Iterable[instruments.Metric]]) -> None:
        self._read = read
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as a metric family of the Prometheus client."""
        for metric in self._read():
            yield _family(metric)


def _family(metric: instruments.Metric) -> Metric:
    name = metric.name.replace(".", "_") + _UNITS.get(metric.unit, "")
    labels = [label.replace(".", "_") for label in metric.label_names]
    if metric.bounds:
        histogram = HistogramMetricFamily(name, metric.meaning, labels=labels)
        for each in metric.distributions:
            bounds = [*(f"{bound:g}" for bound in metric.bounds), "+Inf"]
            buckets = list(zip(bounds, accumulate(each.counts), strict=True))
            values = [each.labels.get(label, "") for label in metric.label_names]
            histogram.add_metric(values, buckets, each.total)
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily
    kind = CounterMetricFamily if metric.only_grows else GaugeMetricFamily
    family = kind(name, metric.meaning, labels=labels)
    for reading in metric.readings:
        family.add_metric([reading.labels.get(label, "") for label in metric.label_names], reading.value)
    return family
