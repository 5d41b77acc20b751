"""The OTLP receiver: what the exporters of OpenTelemetry send is what the store holds."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.support.deadlines import wait_until
from tests.support.otlp_receiver import otlp_receiver
from tests.support.otlp_senders import LINKED, Protocol, exporters, send_everything
from tests.support.processes import NO_TLS
from tests.support.telemetry_stores import RunningStore, telemetry_store


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with telemetry_store() as running:
        yield running


def address(store: RunningStore, protocol: Protocol) -> str:
    return store.grpc if protocol == "grpc" else store.http


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_spans_arrive_as_they_were_sent(store: RunningStore, protocol: Protocol) -> None:
    trace_id = send_everything(f"shop-{protocol}", *exporters(protocol, address(store, protocol)))
    found = store.ask(lambda client: client.trace(trace_id, 10))
    assert found.total == 2
    root, inner = found.spans
    assert (root.name, root.kind, root.service, root.scope) == ("GET /cart", "server", f"shop-{protocol}", "sender")
    assert root.attributes == {
        "text": "ünïcode\n\x00",
        "whole": str(2**53 + 1),
        "real": "0.5",
        "yes": "true",
        "list": "[1,2]",
    }
    assert root.resource["zones"] == '["a","b"]'
    assert [(link.span_id, link.attributes) for link in root.links] == [
        (format(LINKED.span_id, "016x"), {"why": "retry"})
    ]
    assert (inner.parent_span_id, inner.status, inner.status_message) == (root.span_id, "error", "no cart 42")
    assert [(event.name, event.attributes["exception.type"]) for event in inner.events] == [("exception", "ValueError")]
    assert root.start <= inner.start <= inner.events[0].time <= inner.end <= root.end
    assert found.logs == {inner.span_id: 1}


def test_every_kind_of_metric_arrives_with_its_points(store: RunningStore) -> None:
    answer = post(store, "metrics", every_kind_of_metric().SerializeToString())
    assert (answer.status_code, answer.content) == (200, b"")
    (gauge,) = rows(store, "otel_metrics_gauge", "all.gauge")
    assert (gauge["Value"], gauge["Attributes"]) == (0.25, {"host": "a"})
    assert gauge["Exemplars"] == [
        {
            "FilteredAttributes": {"user": "u1"},
            "TimeUnix": "2026-01-01 00:00:00.000000007",
            "Value": 0.5,
            "SpanId": "00f067aa0ba902b7",
            "TraceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
    ]
    (total,) = rows(store, "otel_metrics_sum", "all.sum")
    assert (total["Value"], total["IsMonotonic"], total["AggregationTemporality"]) == (7.0, True, 2)
    (histogram,) = rows(store, "otel_metrics_histogram", "all.histogram")
    assert (histogram["BucketCounts"], histogram["ExplicitBounds"]) == ([1, 2, 0], [0.1, 1.0])
    assert (histogram["Count"], histogram["Sum"], histogram["Min"], histogram["Max"]) == (3, 1.5, None, 0.9)
    (exponential,) = rows(store, "otel_metrics_exponential_histogram", "all.exponential")
    assert (exponential["Scale"], exponential["ZeroCount"], exponential["PositiveOffset"]) == (3, 1, -4)
    assert (exponential["PositiveBucketCounts"], exponential["NegativeBucketCounts"]) == ([1, 2**63], [3])
    (summary,) = rows(store, "otel_metrics_summary", "all.summary")
    assert summary["ValueAtQuantiles"] == [{"Quantile": 0.5, "Value": 2.0}, {"Quantile": 0.99, "Value": 9.0}]


def test_json_of_otlp_has_hexadecimal_ids_and_is_answered_in_json(store: RunningStore) -> None:
    trace_id = "5b8efff798038103d269b633813fc60c"
    span = {
        "traceId": trace_id,
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "eee19b7ec3c1b173",
        "name": "from JSON",
        "startTimeUnixNano": "1767225600000000001",
        "endTimeUnixNano": 1767225600000000003,
        "kind": 2,
        "attributes": [
            {"key": "traceId", "value": {"intValue": "7"}},
            {"key": "real", "value": {"doubleValue": "NaN"}},
        ],
        "unknownField": {"nested": [1]},
    }
    for compressed in (False, True):
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        headers = {"content-type": "application/json", **({"content-encoding": "gzip"} if compressed else {})}
        answer = post(store, "traces", gzip.compress(body) if compressed else body, headers)
        assert (answer.status_code, answer.json()) == (200, {})
    found = store.ask(lambda client: client.trace(trace_id, 9)).spans
    assert len(found) == 2
    assert (found[0].parent_span_id, found[0].kind, found[0].start, found[0].duration) == (
        "eee19b7ec3c1b173",
        "server",
        1767225600000000001,
        2,
    )
    assert (found[0].service, found[0].attributes) == ("unknown_service", {"traceId": "7", "real": "NaN"})


def test_unusable_records_are_rejected_alone_and_counted(store: RunningStore) -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    good = {"trace_id": b"\1" * 16, "span_id": b"\1" * 8, "name": "kept"}
    spans.add(**good)
    spans.add(**{**good, "trace_id": b"\1" * 15})
    spans.add(**{**good, "span_id": bytes(8)})
    spans.add(**{**good, "start_time_unix_nano": 2**63})
    answer = post(store, "traces", request.SerializeToString())
    response = ExportTraceServiceResponse.FromString(answer.content)
    assert answer.status_code == 200
    assert response.partial_success.rejected_spans == 3
    assert "trace_id must be 16 bytes" in response.partial_success.error_message
    assert [span.name for span in store.ask(lambda client: client.trace("01" * 16, 9)).spans] == ["kept"]
    over_grpc = export_by_grpc(store, request)
    assert over_grpc.partial_success.rejected_spans == 3


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", {}, 400),
        (b"{", {"content-type": "application/json"}, 400),
        (b'{"resourceSpans": 7}', {"content-type": "application/json"}, 400),
        (b"[" * 100_000, {"content-type": "application/json"}, 400),
        (b"", {"content-type": "text/plain"}, 415),
        (b"", {"content-encoding": "br"}, 415),
        (b"no gzip", {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"", mtime=0)[:-4], {"content-encoding": "gzip"}, 400),
        (gzip.compress(bytes(17 * 1024**2), mtime=0), {"content-encoding": "gzip"}, 413),
        (bytes(17 * 1024**2), {}, 413),
        (b"", {"origin": "https://evil.example"}, 403),
        (b"", {"host": "evil.example"}, 403),
    ],
)
def test_requests_that_are_no_otlp_are_refused_with_a_reason(
    store: RunningStore, body: bytes, headers: Mapping[str, str], status: int
) -> None:
    answer = post(store, "traces", body, headers)
    assert answer.status_code == status
    assert answer.content
    assert post(store, "traces", b"").status_code == 200


def test_a_full_queue_asks_senders_to_come_back() -> None:
    """The first request of a sender always fits; further ones wait behind it or are refused."""
    with telemetry_store({"max_queue_bytes": 1024**2}) as store, httpx.Client(verify=NO_TLS, timeout=60) as client:
        body = large_request(900_000)
        headers = {"content-type": "application/x-protobuf"}
        with ThreadPoolExecutor(12) as threads:
            sent = [
                threads.submit(client.post, f"{store.http}/v1/traces", content=body, headers=headers) for _ in range(24)
            ]
            answers = [each.result() for each in sent]
        assert {answer.status_code for answer in answers} == {200, 503}
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert int(refused.headers["retry-after"]) >= 1
        assert Status.FromString(refused.content).code == Code.RESOURCE_EXHAUSTED
        assert any("refused" in notice for notice in store.ask(lambda each: each.status()).notices)


def test_senders_need_the_key_where_one_is_configured() -> None:
    key = {"ingest_key_id": "tfk-1", "ingest_key_secret": "s3cret"}
    headers = {"x-telemetryflow-key-id": "tfk-1", "x-telemetryflow-key-secret": "s3cret"}
    with telemetry_store(key) as store:
        assert store.status.key_required
        assert post(store, "logs", b"").status_code == 401
        assert post(store, "logs", b"", {**headers, "x-telemetryflow-key-secret": "s3cre"}).status_code == 401
        assert post(store, "logs", b"", headers).status_code == 200
        request = ExportTraceServiceRequest()
        with pytest.raises(grpc.RpcError) as refused:
            export_by_grpc(store, request)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        export_by_grpc(store, request, tuple(headers.items()))


def test_copies_are_forwarded_to_a_collector_which_may_fail() -> None:
    with otlp_receiver() as collector, telemetry_store({"forward": collector.url("http/protobuf")}) as store:
        send_everything("forwarded", *exporters("grpc", store.grpc))
        assert collector.named("GET /cart").resource["service.name"] == "forwarded"
        assert collector.named("SELECT").status == "ERROR"
    with telemetry_store({"forward": "http://127.0.0.1:9"}) as store:
        assert post(store, "traces", large_request(10)).status_code == 200
        wait_until(
            lambda: any("forward" in notice for notice in store.ask(lambda each: each.status()).notices),
            "the failure is reported",
        )


def post(store: RunningStore, signal: str, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    sent = {"content-type": "application/x-protobuf", **(headers or {})}
    return httpx.post(f"{store.http}/v1/{signal}", content=body, headers=sent, verify=NO_TLS, timeout=30)


def export_by_grpc(
    store: RunningStore, request: ExportTraceServiceRequest, metadata: Sequence[tuple[str, str]] = ()
) -> ExportTraceServiceResponse:
    with grpc.insecure_channel(store.grpc) as channel:
        response: ExportTraceServiceResponse = TraceServiceStub(channel).Export(  # type: ignore[no-untyped-call]
            request, metadata=metadata, timeout=30
        )
        return response


def records(store: RunningStore, table: str) -> list[str]:
    """Return the stored rows of a table as JSON."""
    _, payload = store.ask(lambda client: client.command("export", table=table, after=-1))
    return [line.partition("\t")[2] for line in payload.decode().splitlines()]


def rows(store: RunningStore, table: str, metric: str) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, records(store, table)) if row["MetricName"] == metric]


def large_request(size: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    while request.ByteSize() < size:
        spans.add(trace_id=b"\2" * 16, span_id=b"\2" * 8, name="large", trace_state="x" * min(size, 500))
    return bytes(request.SerializeToString())


def every_kind_of_metric() -> ExportMetricsServiceRequest:
    """Return a request with one point of each kind."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    point = metrics.add(name="all.gauge").gauge.data_points.add(as_double=0.25, time_unix_nano=1)
    point.attributes.add(key="host").value.string_value = "a"
    exemplar = point.exemplars.add(as_double=0.5, time_unix_nano=1767225600000000007)
    exemplar.trace_id, exemplar.span_id = (
        bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736"),
        bytes.fromhex("00f067aa0ba902b7"),
    )
    exemplar.filtered_attributes.add(key="user").value.string_value = "u1"
    total = metrics.add(name="all.sum").sum
    total.is_monotonic, total.aggregation_temporality = True, 2
    total.data_points.add(as_int=7)
    histogram = metrics.add(name="all.histogram").histogram
    histogram.data_points.add(count=3, sum=1.5, max=0.9, bucket_counts=[1, 2, 0], explicit_bounds=[0.1, 1.0])
    exponential = metrics.add(name="all.exponential").exponential_histogram.data_points.add(
        count=5, scale=3, zero_count=1
    )
    exponential.positive.offset = -4
    exponential.positive.bucket_counts.extend([1, 2**63])
    exponential.negative.bucket_counts.extend([3])
    summary = metrics.add(name="all.summary").summary.data_points.add(count=2, sum=11)
    summary.quantile_values.add(quantile=0.5, value=2.0)
    summary.quantile_values.add(quantile=0.99, value=9.0)
    return request
