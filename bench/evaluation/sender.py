"""Sends records as OTLP over HTTP in protobuf with gzip, one request per minute and signal, as a collector would."""

import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.evaluation.archive import Gauge, Minute, service_of
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_BATCH = 5000


def send(client: httpx.Client, base_url: str, minute: Minute) -> None:
    """Send the records of a minute, and wait until all are acknowledged."""
    for first in range(0, len(minute.spans), _BATCH):
        _post(client, f"{base_url}/v1/traces", _traces(minute.spans[first : first + _BATCH]))
    for first in range(0, len(minute.logs), _BATCH):
        _post(client, f"{base_url}/v1/logs", _logs(minute.logs[first : first + _BATCH]))


def send_gauges(client: httpx.Client, base_url: str, gauges: Sequence[Gauge]) -> None:
    """Send metrics, and wait until all are acknowledged."""
    for first in range(0, len(gauges), _BATCH):
        _post(client, f"{base_url}/v1/metrics", _metrics(gauges[first : first + _BATCH]))


def _metrics(gauges: Iterable[Gauge]) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = _scopes(request.resource_metrics.add, "scope_metrics")
    for gauge in gauges:
        metric = scope(service_of(gauge.pod), {"k8s.pod.name": gauge.pod}).metrics.add(name=gauge.name)
        metric.gauge.data_points.add(time_unix_nano=gauge.time, as_double=gauge.value)
    return request


def _post(client: httpx.Client, url: str, message: Any) -> None:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    response = client.post(url, content=gzip.compress(message.SerializeToString(), 1), headers=headers)
    response.raise_for_status()
    if response.content:
        raise RuntimeError(f"The receiver has rejected records: {response.content!r}")


def _traces(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = _scopes(request.resource_spans.add, "scope_spans")
    for span in spans:
        sent = scope(span.service, span.resource).spans.add()
        sent.trace_id, sent.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
        sent.parent_span_id = bytes.fromhex(span.parent_span_id)
        sent.name, sent.kind = span.name, _KINDS.index(span.kind)
        sent.start_time_unix_nano, sent.end_time_unix_nano = span.start, span.end
    return request


def _logs(records: Iterable[LogRecord]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = _scopes(request.resource_logs.add, "scope_logs")
    for record in records:
        sent = scope(record.service, record.resource).log_records.add()
        sent.time_unix_nano, sent.severity_number = record.time, record.severity
        sent.body.string_value = record.body
        sent.trace_id, sent.span_id = bytes.fromhex(record.trace_id), bytes.fromhex(record.span_id)
    return request


def _scopes(add: Callable[[], Any], member: str) -> Callable[[str, Mapping[str, Any]], Any]:
    """Return a function that returns the scope of a service and a resource, and adds it when it is new."""
    known: dict[tuple[Any, ...], Any] = {}

    def scope(service: str, resource: Mapping[str, Any]) -> Any:
        key = (service, *sorted(resource.items()))
        if key not in known:
            group = add()
            for name, value in {"service.name": service, **resource}.items():
                group.resource.attributes.add(key=name).value.string_value = str(value)
            known[key] = getattr(group, member).add()
        return known[key]

    return scope
