"""The OTLP receiver of the tests accepts the exports of the official SDK over both protocols, and returns all data."""

import gzip
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing

import httpx
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter, metric_exporter, trace_exporter
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_log_exporter
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metric_exporter
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_trace_exporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode, format_span_id, format_trace_id

from tests.support.deadlines import PATIENCE
from tests.support.otlp_receiver import OtlpReceiver, absent_collector, otlp_receiver, silent_collector

HEADERS = {"x-own": "yes"}
RESOURCE = Resource({"service.name": "shop"})
PROTOCOLS = ("grpc", "http/protobuf")
BOTH = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        yield running


def span_exporter(receiver: OtlpReceiver, protocol: str) -> SpanExporter:
    if protocol == "grpc":
        return trace_exporter.OTLPSpanExporter(receiver.url(protocol), insecure=True, headers=HEADERS)
    return http_trace_exporter.OTLPSpanExporter(f"{receiver.url(protocol)}/v1/traces", headers=HEADERS)


def exporter_of_metrics(receiver: OtlpReceiver, protocol: str) -> MetricExporter:
    if protocol == "grpc":
        return metric_exporter.OTLPMetricExporter(receiver.url(protocol), insecure=True)
    return http_metric_exporter.OTLPMetricExporter(f"{receiver.url(protocol)}/v1/metrics")


def log_exporter(receiver: OtlpReceiver, protocol: str) -> LogRecordExporter:
    if protocol == "grpc":
        return _log_exporter.OTLPLogExporter(receiver.url(protocol), insecure=True)
    return http_log_exporter.OTLPLogExporter(f"{receiver.url(protocol)}/v1/logs")


@BOTH
def test_a_span_is_shown_with_all_that_it_has(receiver: OtlpReceiver, protocol: str) -> None:
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(span_exporter(receiver, protocol)))
    tracer = provider.get_tracer("checkout")
    with tracer.start_as_current_span("outer") as outer:
        before = outer.get_span_context()
    with (
        tracer.start_as_current_span("inner", kind=SpanKind.SERVER, links=[Link(before)]) as parent,
        tracer.start_as_current_span("innermost", attributes={"count": 3, "names": ["a", "b"]}) as child,
    ):
        child.add_event("sold", {"pieces": 2.5})
        child.set_status(StatusCode.ERROR, "gone")
    own, above = child.get_span_context(), parent.get_span_context()
    provider.shutdown()

    span = receiver.named("innermost", count=3)
    assert (span.trace_id, span.span_id) == (format_trace_id(own.trace_id), format_span_id(own.span_id))
    assert span.parent_id == format_span_id(above.span_id)
    assert (span.kind, span.status, span.scope) == ("INTERNAL", "ERROR", "checkout")
    assert span.attributes == {"count": 3, "names": ["a", "b"]}
    assert span.events == [("sold", {"pieces": 2.5})]
    assert span.resource == {"service.name": "shop"}
    assert span.seconds > 0
    outside = receiver.named("inner")
    assert (outside.kind, outside.status, outside.parent_id) == ("SERVER", "UNSET", "")
    assert outside.links == [(format_trace_id(before.trace_id), format_span_id(before.span_id))]
    assert all(headers["x-own"] == "yes" for headers in receiver.headers)


@BOTH
def test_counters_gauges_and_histograms_are_shown(receiver: OtlpReceiver, protocol: str) -> None:
    reader = PeriodicExportingMetricReader(exporter_of_metrics(receiver, protocol))
    provider = MeterProvider([reader], RESOURCE)
    meter = provider.get_meter("checkout")
    meter.create_counter("sold", "{piece}").add(3, {"shop.name": "north"})
    meter.create_gauge("warmth", "Cel").set(20.5)
    seconds = meter.create_histogram("took", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    for value in (0.05, 0.5, 0.6):
        seconds.record(value)
    provider.shutdown()

    counter, gauge, histogram = (
        receiver.point("sold", shop_name="north"),
        receiver.point("warmth"),
        receiver.point("took"),
    )
    assert (counter.kind, counter.unit, counter.value) == ("sum", "{piece}", 3)
    assert (gauge.kind, gauge.unit, gauge.value, gauge.attributes) == ("gauge", "Cel", 20.5, {})
    assert (histogram.kind, histogram.bounds, histogram.counts) == ("histogram", [0.1, 1.0], [1, 2, 0])
    assert histogram.value == pytest.approx(1.15)


@BOTH
def test_a_log_record_is_shown_with_its_trace(receiver: OtlpReceiver, protocol: str) -> None:
    provider = LoggerProvider(RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(log_exporter(receiver, protocol)))
    with TracerProvider().get_tracer("checkout").start_as_current_span("outer") as span:
        provider.get_logger("checkout").emit(
            LogRecord(
                body="sold out", severity_text="WARN", severity_number=SeverityNumber.WARN, attributes={"shelf": 4}
            )
        )
    provider.shutdown()

    entry = receiver.log(lambda entry: entry.body == "sold out", "the record")
    context = span.get_span_context()
    assert (entry.severity, entry.attributes, entry.resource) == ("WARN", {"shelf": 4}, {"service.name": "shop"})
    assert (entry.trace_id, entry.span_id) == (format_trace_id(context.trace_id), format_span_id(context.span_id))


def test_what_has_come_can_be_forgotten(receiver: OtlpReceiver) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(span_exporter(receiver, "grpc")))
    provider.get_tracer("checkout").start_span("first").end()
    receiver.named("first")
    receiver.clear()
    assert (receiver.spans, receiver.headers) == ([], [])
    with pytest.raises(TimeoutError, match="the first span has not come"):
        receiver.span(lambda span: span.name == "first", "the first span", seconds=0.1)
    provider.shutdown()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/traces", b"", 200), ("/v1/traces", b"\xff\xff", 400), ("/v1/elsewhere", b"", 404)],
    ids=["of nothing", "that is none", "to nowhere"],
)
def test_a_request_by_hand_is_answered_as_it_deserves(
    receiver: OtlpReceiver, path: str, body: bytes, status: int
) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-protobuf"}
    url = receiver.url("http/protobuf") + path
    answer = httpx.post(url, content=gzip.compress(body), headers=headers, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == status


def test_a_silent_collector_takes_a_request_and_says_nothing() -> None:
    with silent_collector() as url, closing(connected(url)) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: collector\r\nContent-Length: 0\r\n\r\n")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_an_absent_collector_takes_no_connection() -> None:
    with absent_collector() as url, pytest.raises(ConnectionRefusedError):
        connected(url)


def connected(url: str) -> socket.socket:
    parts: Sequence[str] = url.removeprefix("http://").split(":")
    return socket.create_connection((parts[0], int(parts[1])), PATIENCE)
