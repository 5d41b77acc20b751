"""autotel-mcp with its own collector: the same records over OTLP in JSON, moved so that they end now.

Its service map and its searches of metrics reach back a day from now, which is why the times are moved. Its tools
search traces, spans, log records and metrics with filters, and return at most 100 of them with the number of all: they
have no sums, percentiles or groups.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from bench.evaluation.archive import service_of
from bench.evaluation.day import NS_PER_MS, Day, Known
from bench.evaluation.further_questions import MEMORY, PROCESSOR
from bench.evaluation.peers.packages import node_command
from bench.evaluation.peers.session import PeerCall, PeerSession, Plan, peer_session
from tests.support.processes import LOOPBACK, free_port
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span

NAME = "autotel-mcp"
_BATCH = 2000
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_WHOLE_DAY = {"lookbackMinutes": 1440}
_TIMES = "no tool compares periods that are over: anomalies are those of the newest 100 traces before now"
_GROUPS = "no tool groups or sums records; a search returns at most 100 of them"
_PERCENTILES = "no tool has percentiles or averages of an operation"
_KINDS_LOST = "the kind of spans is not stored"
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(
        ("most errors", "costliest calls", "loudest service", "pod with errors", "minute of errors"), _GROUPS
    ),
    **dict.fromkeys(("mean of operation", "p95 of operation"), _PERCENTILES),
    **dict.fromkeys(("slow requests", "kinds"), _KINDS_LOST),
    "operations": "operations are listed service by service, which takes a call for each",
    "count of operation": "the number that a search of spans reports is that of a few traces",
    "mean of processor": "no tool averages a metric; its points are returned one by one",
    "logs without trace": "no search finds records that lack a trace",
    "spans": "the service map has the spans of each service, and no sum",
}


@contextmanager
def autotel_peer(day: Day) -> Iterator[PeerSession]:
    """Run the server, and load a day into its collector."""
    port = free_port()
    variables = {
        "AUTOTEL_COLLECTOR_PORT": str(port),
        "AUTOTEL_MAX_TRACES": str(len(day.traces) + 1),
        "AUTOTEL_RETENTION_MS": str(7 * 24 * 3600 * 1000),
        "AUTOTEL_OFFLINE_MODE": "true",
        "PATH": os.environ["PATH"],
    }
    with peer_session(node_command(), variables) as session:
        _load(day, f"http://{LOOPBACK}:{port}")
        yield session


def _load(day: Day, url: str) -> None:
    moved = time.time_ns() - day.last
    with httpx.Client(timeout=600, trust_env=False) as client:
        for first in range(0, len(day.spans), _BATCH):
            spans = [(_resource(span), _span(span, moved)) for span in day.spans[first : first + _BATCH]]
            _post(client, f"{url}/v1/traces", "resourceSpans", "scopeSpans", "spans", spans)
        for first in range(0, len(day.logs), _BATCH):
            logs = [(_resource(log), _log(log, moved)) for log in day.logs[first : first + _BATCH]]
            _post(client, f"{url}/v1/logs", "resourceLogs", "scopeLogs", "logRecords", logs)
        for first in range(0, len(day.gauges), _BATCH):
            points = [
                (
                    {"service.name": service_of(gauge.pod), "k8s.pod.name": gauge.pod},
                    _metric(gauge.name, gauge.time + moved, gauge.value),
                )
                for gauge in day.gauges[first : first + _BATCH]
            ]
            _post(client, f"{url}/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics", points)


def _post(
    client: httpx.Client,
    url: str,
    groups: str,
    scopes: str,
    members: str,
    records: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]],
) -> None:
    by_resource: dict[tuple[tuple[str, str], ...], list[Mapping[str, Any]]] = {}
    for resource, record in records:
        by_resource.setdefault(tuple(resource.items()), []).append(record)
    body = {
        groups: [
            {"resource": {"attributes": _attributes(dict(resource))}, scopes: [{"scope": {}, members: each}]}
            for resource, each in by_resource.items()
        ]
    }
    client.post(url, json=body).raise_for_status()


def _resource(record: Span | LogRecord) -> Mapping[str, str]:
    return {"service.name": record.service, **{name: str(value) for name, value in record.resource.items()}}


def _attributes(values: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in values.items()]


def _span(span: Span, moved: int) -> Mapping[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **({"parentSpanId": span.parent_span_id} if span.parent_span_id else {}),
        "name": span.name,
        "kind": _KINDS.index(span.kind),
        "startTimeUnixNano": str(span.start + moved),
        "endTimeUnixNano": str(span.end + moved),
    }


def _log(log: LogRecord, moved: int) -> Mapping[str, Any]:
    return {
        "timeUnixNano": str(log.time + moved),
        "severityNumber": log.severity,
        "severityText": {17: "ERROR", 13: "WARN"}.get(log.severity, "INFO"),
        "body": {"stringValue": log.body},
        "traceId": log.trace_id,
        "spanId": log.span_id,
        "attributes": _attributes({"k8s.pod.name": str(log.resource["k8s.pod.name"])}),
    }


def _metric(name: str, moment: int, value: float) -> Mapping[str, Any]:
    return {"name": name, "gauge": {"dataPoints": [{"timeUnixNano": str(moment), "asDouble": value}]}}


def autotel_plans(day: Day) -> Mapping[str, Plan]:
    """Return the calls that answer each question, by its key."""
    services = Plan([PeerCall("service_map", {**_WHOLE_DAY, "limit": 100})])
    return {
        **{key: Plan(reason=reason) for key, reason in _REASONS.items()},
        **{f"cause: {fault.kind}": Plan(reason=_TIMES) for fault in day.first_faults},
        "services": Plan([_discover()], known=_all_services(day)),
        "most spans": Plan(services.calls, known=_busiest_once(day)),
        **dict.fromkeys(("busiest call", "callers", "callees"), services),
        **_about_traces(day),
        "errors": Plan([_logs(severityText="ERROR")]),
        "commonest error": Plan([_logs(severityText="ERROR", limit=100)]),
        "count of error": Plan([_logs(text=day.phrase)]),
        "logs of slowest": Plan([_logs(traceId=day.slowest, limit=100)]),
        "warnings": Plan([_logs(severityText="WARN")]),
        "metrics": Plan([_discover()]),
        "most memory": Plan([_metrics(MEMORY)]),
        "most processor": Plan([_metrics(PROCESSOR)]),
        "peak of processor": Plan([_metrics(PROCESSOR, serviceName=day.callee)]),
        "pods": Plan([_metrics(MEMORY, lookbackMinutes=60, limit=1)]),
    }


def _about_traces(day: Day) -> Mapping[str, Plan]:
    slowest = {"traceId": day.slowest}
    longest = int(day.durations[day.slowest] / NS_PER_MS)
    tried = _guesses(int(max(span.duration for span in day.named(day.operation)) / NS_PER_MS))
    once = {(span.trace_id, span.span_id) for span in day.spans}
    largest = Counter(trace_id for trace_id, _ in once).most_common(1)[0][1]
    return {
        "traces": Plan([_traces()]),
        "slowest trace": Plan([_traces(minDurationMs=each) for each in _guesses(longest)]),
        "spans of slowest": Plan([PeerCall("summarize_trace", slowest)]),
        "time of slowest": Plan([PeerCall("find_root_cause", slowest), PeerCall("get_trace", slowest)]),
        "largest trace": Plan([_with_spans(each) for each in _guesses(largest)], known=[largest]),
        "services of largest": Plan([PeerCall("summarize_trace", {"traceId": day.largest})]),
        "longest of operation": Plan([_spans(operationName=day.operation, minDurationMs=each) for each in tried]),
        "longest call": Plan([_spans(minDurationMs=each) for each in _guesses(longest)]),
    }


def _busiest_once(day: Day) -> Known:
    """Return the service with the most spans, and their number; the collector keeps a repeated span once."""
    services = {span.span_id: span.service for span in day.spans}
    service, count = Counter(services.values()).most_common(1)[0]
    return [service, count]


def _all_services(day: Day) -> Known:
    return sorted({*day.by_service, *(log.service for log in day.logs), *(service_of(g.pod) for g in day.gauges)})


def _guesses(largest: int) -> Sequence[int]:
    """Return three limits as somebody would try them who looks for the largest value: each returns fewer."""
    return [10 ** len(str(largest)) // 20, largest // 2, largest * 9 // 10]


def _traces(**arguments: Any) -> PeerCall:
    return PeerCall("search_traces", {**_WHOLE_DAY, "limit": 5, **arguments})


def _with_spans(least: int) -> PeerCall:
    chosen = {"field": "span_count", "operator": "gte", "valueType": "number", "value": least}
    return _traces(filters=[chosen])


def _discover() -> PeerCall:
    samples = {"traceSample": 200, "logSample": 200, "metricSample": 500}
    return PeerCall("discover_services", {"limitServices": 100, **samples})


def _spans(**arguments: Any) -> PeerCall:
    return PeerCall("search_spans", {**_WHOLE_DAY, "limit": 5, **arguments})


def _logs(**arguments: Any) -> PeerCall:
    return PeerCall("search_logs", {**_WHOLE_DAY, "limit": 1, **arguments})


def _metrics(name: str, **arguments: Any) -> PeerCall:
    return PeerCall("list_metrics", {**_WHOLE_DAY, "metricName": name, "limit": 100, **arguments})
