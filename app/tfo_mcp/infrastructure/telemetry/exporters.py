"""Exports spans, metrics and log records to OTLP endpoints and to the telemetry store, each in a separate thread.

All queues are bounded: once one is full, new spans and records are dropped without being created, and are counted. The
exporters are those of the SDK, which follow the standard environment variables; only spans are encoded by our own
`span_encoder`. What only an export needs is imported in its thread with the first one: the encoders and the metrics of
the SDK take a tenth of a server's start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tfo_mcp.infrastructure.telemetry.destination import Destination
from tfo_mcp.infrastructure.telemetry.instruments import Instruments
from tfo_mcp.infrastructure.telemetry.spans import rate_of_stored_calls
from tfo_mcp.infrastructure.telemetry.values import sanitized

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.metrics.export import MetricExporter

    from tfo_mcp.infrastructure.telemetry.span_encoder import Encoder

    Encode = Callable[[Sequence[ReadableSpan]], ExportTraceServiceRequest]

_log = structlog.get_logger("tfo_mcp.telemetry")
_MOST_WAITING = 8192
_AT_ONCE = 1024
_SEVERITIES: Mapping[str, tuple[SeverityNumber, str]] = {
    "debug": (SeverityNumber.DEBUG, "DEBUG"),
    "info": (SeverityNumber.INFO, "INFO"),
    "warning": (SeverityNumber.WARN, "WARN"),
    "error": (SeverityNumber.ERROR, "ERROR"),
}


class _Counted:
    """Counts the items that wait for an exporter, and those that were dropped."""

    def __init__(self) -> None:
        self.taken = 0
        self.settled = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        return self.taken - self.settled

    def is_left(self) -> bool:
        """Return whether the queue has room for one more."""
        return self.taken - self.settled < _MOST_WAITING

    def take(self) -> bool:
        """Reserve a place in the queue; return False and count a dropped item if it is full."""
        if self.is_left():
            self.taken += 1
            return True
        self.dropped += 1
        return False

    def settle(self, count: int, *, arrived: bool) -> None:
        self.settled += count
        if not arrived:
            self.dropped += count


class _CountedSpans(SpanExporter):
    def __init__(self, inner: SpanExporter, counted: _Counted) -> None:
        self._inner, self._counted = inner, counted

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._counted.settle(len(spans), arrived=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


class _Into(SpanProcessor):
    """Passes spans of the SDK to the export, which drops them if its queue is full."""

    def __init__(self, spans: "SpanExport") -> None:
        self._spans = spans

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Enqueue the span."""
        self._spans.take(span)


Send = Callable[[bytes], bool]
"""Sends an encoded request to the telemetry store; returns whether it is stored."""


class _Targets(SpanExporter):
    """Exports spans to each of several targets; fails if one of them does."""

    def __init__(self, targets: Sequence[Callable[[Sequence[ReadableSpan]], bool]], close: Callable[[], None]) -> None:
        self._targets, self._close = targets, close

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        arrived = [target(spans) for target in self._targets]
        return SpanExportResult.SUCCESS if all(arrived) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._close()


class SpanExport:
    """Exports spans through a bounded queue.

    Args:
        destination: the OTLP endpoint; None without one.
        send: sends to the telemetry store; None without one.
        resource: the resource of all spans.
        scope: the instrumentation scope of the spans of calls.
        sampled: the sampling decision, as `destination.sampling` returns it.
    """

    def __init__(
        self,
        destination: Destination | None,
        send: Send | None,
        resource: Resource,
        scope: InstrumentationScope,
        sampled: tuple[int, bool],
    ) -> None:
        self.sampled = sampled
        self.rate = rate_of_stored_calls() if destination is None else None
        self.counted = _Counted()
        provider = TracerProvider(resource=resource, sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
        provider.add_span_processor(_Into(self))
        self.tracer = provider.get_tracer("tfo_mcp")
        """Creates the spans that are not those of calls."""
        exporter = _span_targets(destination, send, _encoding(resource, scope))
        self._processor = BatchSpanProcessor(
            _CountedSpans(exporter, self.counted), max_queue_size=_MOST_WAITING, max_export_batch_size=_AT_ONCE
        )

    def take(self, span: ReadableSpan) -> None:
        """Enqueue an ended span."""
        if self.counted.take():  # the queue may have filled since the span was started
            self._processor.on_end(span)

    def close(self) -> None:
        """Export the remaining spans and stop."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]


class MetricExport:
    """Reads and exports the instruments periodically."""

    def __init__(
        self,
        destination: Destination | None,
        send: Send | None,
        resource: Resource,
        scope: InstrumentationScope,
        instruments: Instruments,
        interval_seconds: float,
    ) -> None:
        self._exporter = None if destination is None else _metric_exporter(destination)
        self._send = send
        self._resource, self._scope = resource, scope
        self._instruments = instruments
        self._interval = interval_seconds
        self._closing = Event()
        self._thread = Thread(target=self._run, name="metric-export", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Export once more and stop."""
        self._closing.set()
        self._thread.join()
        if self._exporter is not None:
            self._exporter.shutdown()

    def _run(self) -> None:
        while not self._closing.wait(self._interval):
            self._export()
        self._export()

    def _export(self) -> None:
        try:
            from tfo_mcp.infrastructure.telemetry.metric_data import encoded, metrics_data

            data = metrics_data(self._instruments, self._resource, self._scope)
            if self._send is not None:
                self._send(encoded(data))
            if self._exporter is not None:
                self._exporter.export(data)
        except Exception as problem:  # the thread goes on: the next export may succeed
            _log.warning("metrics cannot be exported", reason=type(problem).__name__)


class LogExport:
    """Exports log records through a bounded queue; called in the thread that writes the log."""

    def __init__(
        self,
        destination: Destination | None,
        send: Send | None,
        resource: Resource,
        scope: InstrumentationScope,
        closing_seconds: float,
    ) -> None:
        self._closing_seconds = closing_seconds
        self._only_own = destination is None
        self.counted = _Counted()
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        exporter = _CountedRecords(None if destination is None else _log_exporter(destination), send, self.counted)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=_MOST_WAITING))
        self._logger = self._provider.get_logger(scope.name, scope.version)

    def take(self, seconds: float, level: str, fields: Mapping[str, Any]) -> None:
        """Enqueue a record; its field `event` is the message.

        The telemetry store alone gets no lines of calls: their spans say the same.
        """
        if (self._only_own and fields["event"] == _CALL) or not self.counted.take():
            return
        number, text = _SEVERITIES[level]
        attributes = {name: _plain(value) for name, value in fields.items() if name not in _OWN_PLACE}
        self._logger.emit(
            timestamp=int(seconds * 1e9),
            context=_context_of(fields),
            severity_number=number,
            severity_text=text,
            body=sanitized(str(fields["event"])),
            attributes=attributes,
        )

    def close(self) -> None:
        """Export the remaining records, for at most `closing_seconds`."""
        _run_all([self._provider.shutdown], self._closing_seconds)


class _CountedRecords(LogRecordExporter):
    def __init__(self, inner: LogRecordExporter | None, send: Send | None, counted: _Counted) -> None:
        self._inner, self._send, self._counted = inner, send, counted

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = LogRecordExportResult.FAILURE
        try:
            from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

            arrived = self._send is None or self._send(encode_logs(batch).SerializeToString())
            exported = LogRecordExportResult.SUCCESS if self._inner is None else self._inner.export(batch)
            result = exported if arrived else LogRecordExportResult.FAILURE
        finally:
            self._counted.settle(len(batch), arrived=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        if self._inner is not None:
            self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner is None or self._inner.force_flush(timeout_millis)


_CALL = "call"
_OWN_PLACE = frozenset({"event", "trace_id", "span_id"})


def _plain(value: object) -> str | int | float:
    return value if isinstance(value, int | float) else sanitized(str(value))


def _context_of(fields: Mapping[str, Any]) -> Any:
    if "span_id" not in fields:
        return None
    ids = int(fields["trace_id"], 16), int(fields["span_id"], 16)
    return set_span_in_context(NonRecordingSpan(SpanContext(*ids, False, TraceFlags(TraceFlags.SAMPLED))))


def _encoding(resource: Resource, scope: InstrumentationScope) -> "Encode":
    """Return the function that encodes spans; it imports the encoder when it is first called."""

    @cache
    def encoder() -> "Encoder":
        from tfo_mcp.infrastructure.telemetry.span_encoder import Encoder

        return Encoder(resource, scope)

    return lambda spans: encoder().request(spans)


def _span_targets(destination: Destination | None, send: Send | None, encode: "Encode") -> SpanExporter:
    targets: list[Callable[[Sequence[ReadableSpan]], bool]] = []
    if send is not None:
        targets.append(lambda spans: send(encode(spans).SerializeToString()))
    if destination is None:
        return _Targets(targets, lambda: None)
    exporter = _span_exporter(destination, encode)
    targets.append(lambda spans: exporter.export(spans) is SpanExportResult.SUCCESS)
    return _Targets(targets, exporter.shutdown)


def _span_exporter(destination: Destination, encode: "Encode") -> SpanExporter:
    where, headers = destination.endpoint, dict(destination.headers)
    if destination.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as by_grpc

        class GrpcSpans(by_grpc.OTLPSpanExporter):
            def _translate_data(self, data: Sequence[ReadableSpan]) -> "ExportTraceServiceRequest":
                return encode(data)

        return GrpcSpans(endpoint=where, headers=headers)
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as by_http

    class HttpSpans(by_http.OTLPSpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            sent = self._client.export(encode(spans).SerializeToString())
            return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    return HttpSpans(endpoint=where, headers=headers)


def _metric_exporter(destination: Destination) -> "MetricExporter":
    where, headers = destination.endpoint, dict(destination.headers)
    if destination.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as by_grpc

        return by_grpc.OTLPMetricExporter(endpoint=where, headers=headers)
    from opentelemetry.exporter.otlp.proto.http import metric_exporter as by_http

    return by_http.OTLPMetricExporter(endpoint=where, headers=headers)


def _log_exporter(destination: Destination) -> LogRecordExporter:
    where, headers = destination.endpoint, dict(destination.headers)
    if destination.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as by_grpc

        return by_grpc.OTLPLogExporter(endpoint=where, headers=headers)
    from opentelemetry.exporter.otlp.proto.http import _log_exporter as by_http

    return by_http.OTLPLogExporter(endpoint=where, headers=headers)


def close_all(exports: Iterable[SpanExport | MetricExport], seconds: float) -> None:
    """Close all exports concurrently, for at most `seconds` in total."""
    _run_all([export.close for export in exports], seconds)


def _run_all(closers: Iterable[Callable[[], None]], seconds: float) -> None:
    threads = [Thread(target=close, daemon=True) for close in closers]
    for thread in threads:
        thread.start()
    deadline = monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
