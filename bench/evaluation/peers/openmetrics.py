"""A recorded day as metrics in the OpenMetrics format, as a Collector would derive them for Prometheus.

The metrics of pods are those of the archive. Spans become the counters and histograms of the Collector's connectors
`spanmetrics` and `servicegraph`, log records those of its connector `count`. Counters begin at zero with the day, and
every series has a sample at the end of each recorded minute. Times are in seconds.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.evaluation.archive import service_of
from bench.evaluation.day import NS_PER_MS, Day
from bench.evaluation.further_questions import MINUTE
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span

CALLS, DURATION = "traces_span_metrics_calls", "traces_span_metrics_duration_milliseconds"
EDGES, LOGS = "traces_service_graph_request", "log_record_count"
BOUNDS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000)
"""The bounds of the connector, in milliseconds."""
_SEVERITIES: Mapping[int, str] = {9: "INFO", 13: "WARN", 17: "ERROR"}
Labels = tuple[tuple[str, str], ...]


def openmetrics(day: Day) -> Iterator[str]:
    """Yield the lines of the file."""
    yield from _gauges(day)
    yield from _counters(day, CALLS, ((span.start, _of_span(span)) for span in day.spans))
    yield from _durations(day)
    yield from _counters(day, EDGES, _edges(day))
    yield from _counters(day, LOGS, ((log.time, _of_log(log)) for log in day.logs))
    yield "# EOF"


def _gauges(day: Day) -> Iterator[str]:
    for metric in sorted({gauge.name for gauge in day.gauges}):
        name = metric.replace(".", "_")
        yield f"# TYPE {name} gauge"
        own = sorted((gauge.pod, gauge.time, gauge.value) for gauge in day.gauges if gauge.name == metric)
        for pod, moment, value in own:
            labels = _labels((("service_name", service_of(pod)), ("k8s_pod_name", pod)))
            yield f"{name}{labels} {value} {moment // 10**9}"


def _of_span(span: Span) -> Labels:
    kind = f"SPAN_KIND_{span.kind.upper()}"
    return (("service_name", span.service), ("span_name", span.name), ("span_kind", kind))


def _of_log(log: LogRecord) -> Labels:
    pod = str(log.resource["k8s.pod.name"])
    return (("service_name", log.service), ("k8s_pod_name", pod), ("severity_text", _SEVERITIES[log.severity]))


def _edges(day: Day) -> Iterator[tuple[int, Labels]]:
    owner = {(span.trace_id, span.span_id): span.service for span in day.spans}
    for span in day.spans:
        caller = owner.get((span.trace_id, span.parent_span_id), span.service)
        if caller != span.service:
            yield span.start, (("client", caller), ("server", span.service))


def _counters(day: Day, name: str, events: Iterable[tuple[int, Labels]]) -> Iterator[str]:
    yield f"# TYPE {name} counter"
    for labels, sums in _sums(day, ((moment, labels, 1) for moment, labels in events)).items():
        yield from _series(day, f"{name}_total{_labels(labels)}", sums)


def _durations(day: Day) -> Iterator[str]:
    """Yield a histogram, series by series: the buckets, the sum and the count of each operation."""
    yield f"# TYPE {DURATION} histogram"
    values = [(span.start, _of_span(span), span.duration / NS_PER_MS) for span in day.spans]
    buckets: dict[Labels, dict[int, list[float]]] = {}
    for place, _ in enumerate((*BOUNDS, None)):
        within = ((moment, labels, 1) for moment, labels, value in values if bisect_left(BOUNDS, value) <= place)
        for labels, sums in _sums(day, within).items():
            buckets.setdefault(labels, {})[place] = sums
    totals = _sums(day, values)
    for labels, by_place in sorted(buckets.items()):
        for place, bound in enumerate((*BOUNDS, "+Inf")):
            zeros = [0.0] * len(day.minutes)
            yield from _series(
                day, f"{DURATION}_bucket{_labels((*labels, ('le', str(bound))))}", by_place.get(place, zeros)
            )
        yield from _series(day, f"{DURATION}_count{_labels(labels)}", by_place[len(BOUNDS)])
        yield from _series(day, f"{DURATION}_sum{_labels(labels)}", totals[labels])


def _sums(day: Day, events: Iterable[tuple[int, Labels, float]]) -> dict[Labels, list[float]]:
    """Return the running sum of each set of labels at the end of each minute."""
    added: dict[Labels, dict[int, float]] = {}
    places = {minute: place for place, minute in enumerate(day.minutes)}
    for moment, labels, value in events:
        place = places.get(moment // MINUTE, bisect_left(day.minutes, moment // MINUTE))
        counts = added.setdefault(labels, defaultdict(float))
        counts[min(place, len(places) - 1)] += value
    return {labels: list(_running(counts, len(places))) for labels, counts in added.items()}


def _running(counts: Mapping[int, float], length: int) -> Iterator[float]:
    total = 0.0
    for place in range(length):
        total += counts.get(place, 0)
        yield total


def _series(day: Day, name: str, sums: Sequence[float]) -> Iterator[str]:
    for minute, value in zip(day.minutes, sums, strict=True):
        yield f"{name} {value:.3f} {(minute + 1) * 60}"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels) + "}"
