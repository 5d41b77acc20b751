"""An OTLP receiver for tests: gRPC and HTTP on separate ports, with requests decoded by the official types.

Received telemetry is kept as plain values, and tests wait for it with a deadline. Knows nothing of MCP.
"""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK

SECONDS = 2 * PATIENCE  # longer than others, because exporters send in batches

T = TypeVar("T")
Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """A received span; ids are hexadecimal, and `parent_id` is empty for a root span."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    attributes: Attributes
    status: str
    links: Sequence[tuple[str, str]]
    events: Sequence[tuple[str, Attributes]]
    scope: str
    resource: Attributes
    seconds: float


@dataclass(frozen=True)
class Point:
    """A data point of a metric; for a histogram, `value` is the sum and `counts` are the bucket counts."""

    name: str
    unit: str
    kind: str
    attributes: Attributes
    value: float
    counts: Sequence[int] = ()
    bounds: Sequence[float] = ()


@dataclass(frozen=True)
class LogEntry:
    """A received log record."""

    body: str
    severity: str
    attributes: Attributes
    trace_id: str
    span_id: str
    resource: Attributes


@dataclass
class OtlpReceiver:
    """The ports of the two endpoints, and the telemetry that they have received."""

    grpc_port: int = 0
    http_port: int = 0
    spans: list[Span] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    logs: list[LogEntry] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def url(self, protocol: str) -> str:
        """Return the endpoint URL of a protocol (`grpc` or HTTP), for the configuration."""
        return f"http://{LOOPBACK}:{self.grpc_port if protocol == 'grpc' else self.http_port}"

    def span(self, fits: Callable[[Span], bool], what: str, seconds: float = SECONDS) -> Span:
        """Wait for a span.

        Raises:
            TimeoutError: no such span has arrived within `seconds`; the message names it by `what`.
        """
        return self._wait(lambda: next(filter(fits, self.spans), None), what, seconds)

    def named(self, name: str, **attributes: Any) -> Span:
        """Wait for a span of that name with these attributes (`_` stands for the dots)."""

        def fits(span: Span) -> bool:
            own = {key.replace(".", "_"): value for key, value in span.attributes.items()}
            return span.name == name and attributes.items() <= own.items()

        return self.span(fits, f"the span {name!r}")

    def point(self, name: str, **labels: str) -> Point:
        """Wait for a data point of a metric with these labels (`_` stands for the dots), and return the latest."""

        def latest() -> Point | None:
            for point in reversed(self.points):
                own = {key.replace(".", "_"): value for key, value in point.attributes.items()}
                if point.name == name and labels.items() <= own.items():
                    return point
            return None

        return self._wait(latest, f"the metric {name!r}", SECONDS)

    def log(self, fits: Callable[[LogEntry], bool], what: str) -> LogEntry:
        """Wait for a log record."""
        return self._wait(lambda: next(filter(fits, self.logs), None), what, SECONDS)

    def clear(self) -> None:
        """Drop everything that has been received."""
        with self.arrived:
            for kept in (self.spans, self.points, self.logs, self.headers):
                kept.clear()

    def take(self, request: Any, headers: Mapping[str, str]) -> None:
        """Store the telemetry of an export request."""
        with self.arrived:
            self.headers.append(headers)
            for one in getattr(request, "resource_spans", ()):
                self.spans += _spans(one)
            for one in getattr(request, "resource_metrics", ()):
                self.points += _points(one)
            for one in getattr(request, "resource_logs", ()):
                self.logs += _logs(one)
            self.arrived.notify_all()

    def _wait(self, look: Callable[[], T | None], what: str, seconds: float) -> T:
        with self.arrived:
            found = self.arrived.wait_for(look, seconds)
            if found is None:
                raise TimeoutError(f"{what} has not come; spans: {sorted({span.name for span in self.spans})}")
            return found


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Run a receiver for both protocols until the end of the block."""
    receiver = OtlpReceiver()
    server = grpc.server(ThreadPoolExecutor(4))
    receiver.grpc_port = server.add_insecure_port(f"{LOOPBACK}:0")
    services = (
        (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, trace_service_pb2.ExportTraceServiceResponse),
        (
            metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
            metrics_service_pb2.ExportMetricsServiceResponse,
        ),
        (logs_service_pb2_grpc.add_LogsServiceServicer_to_server, logs_service_pb2.ExportLogsServiceResponse),
    )
    for add, response in services:
        add(_Service(receiver, response), server)  # type: ignore[no-untyped-call]
    server.start()
    http = ThreadingHTTPServer((LOOPBACK, 0), _handler(receiver))
    receiver.http_port = http.server_port
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        server.stop(None).wait()


@contextmanager
def silent_collector() -> Iterator[str]:
    """Yield the URL of a collector that accepts connections and never answers."""
    with socket.create_server((LOOPBACK, 0), backlog=128) as listener:
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"


@contextmanager
def absent_collector() -> Iterator[str]:
    """Yield a URL that refuses connections; its port is reserved, so that no other process can listen on it."""
    with socket.socket() as unheard:
        unheard.bind((LOOPBACK, 0))
        yield f"http://{LOOPBACK}:{unheard.getsockname()[1]}"


class _Service:
    def __init__(self, receiver: OtlpReceiver, response: type[Any]) -> None:
        self._receiver, self._response = receiver, response

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._receiver.take(request, {key: str(value) for key, value in context.invocation_metadata()})
        return self._response()


_REQUESTS: Mapping[str, Callable[[], Any]] = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}


def _handler(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self.send_response(self._status(body))
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _status(self, body: bytes) -> int:
            kind = _REQUESTS.get(self.path)
            if kind is None:
                return 404
            request = kind()
            try:
                request.ParseFromString(body)
            except DecodeError:
                return 400
            receiver.take(request, {key.lower(): value for key, value in self.headers.items()})
            return 200

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def _spans(resource_spans: Any) -> Iterator[Span]:
    resource = _plain(resource_spans.resource.attributes)
    for scope in resource_spans.scope_spans:
        for span in scope.spans:
            yield Span(
                span.name,
                span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.trace_state,
                _plain(span.attributes),
                span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                [(event.name, _plain(event.attributes)) for event in span.events],
                scope.scope.name,
                resource,
                (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            )


def _points(resource_metrics: Any) -> Iterator[Point]:
    for scope in resource_metrics.scope_metrics:
        for metric in scope.metrics:
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                attributes = _plain(point.attributes)
                if kind == "histogram":
                    spread = (list(point.bucket_counts), list(point.explicit_bounds))
                    yield Point(metric.name, metric.unit, kind, attributes, point.sum, *spread)
                else:
                    value = point.as_double if point.HasField("as_double") else point.as_int
                    yield Point(metric.name, metric.unit, kind, attributes, value)


def _logs(resource_logs: Any) -> Iterator[LogEntry]:
    resource = _plain(resource_logs.resource.attributes)
    for scope in resource_logs.scope_logs:
        for record in scope.log_records:
            yield LogEntry(
                record.body.string_value,
                record.severity_text,
                _plain(record.attributes),
                record.trace_id.hex(),
                record.span_id.hex(),
                resource,
            )


def _plain(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
