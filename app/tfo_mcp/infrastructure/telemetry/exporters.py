"""Exports spans, metrics and log records to OTLP endpoints, each in a separate thread.

All queues are bounded: once one is full, new spans and records are dropped without being created, and are counted. The
exporters are those of the SDK, which follow the standard environment variables; only spans are encoded by `spans`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event, Thread
from time import monotonic, time_ns
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Metric as MetricData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tfo_mcp.infrastructure.telemetry.destination import Destination
from tfo_mcp.infrastructure.telemetry.instruments import Instruments, Metric
from tfo_mcp.infrastructure.telemetry.spans import Encoder
from tfo_mcp.infrastructure.telemetry.values import sanitized

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


class SpanExport:
    """Exports spans through a bounded queue."""

    def __init__(self, destination: Destination, resource: Resource, scope: InstrumentationScope) -> None:
        self.counted = _Counted()
        exporter = _span_exporter(destination, Encoder(resource, scope).request)
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
        destination: Destination,
        resource: Resource,
        scope: InstrumentationScope,
        instruments: Instruments,
        interval_seconds: float,
    ) -> None:
        self._exporter = _metric_exporter(destination)
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
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._closing.wait(self._interval):
            self._export()
        self._export()

    def _export(self) -> None:
        now = time_ns()
        metrics = [_metric_data(metric, self._instruments.started_ns, now) for metric in self._instruments.read()]
        scope = ScopeMetrics(self._scope, [metric for metric in metrics if metric.data.data_points], "")
        self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))


class LogExport:
    """Exports log records through a bounded queue; called in the thread that writes the log."""

    def __init__(
        self, destination: Destination, resource: Resource, scope: InstrumentationScope, closing_seconds: float
    ) -> None:
        self._closing_seconds = closing_seconds
        self.counted = _Counted()
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        exporter = _CountedRecords(_log_exporter(destination), self.counted)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=_MOST_WAITING))
        self._logger = self._provider.get_logger(scope.name, scope.version)

    def take(self, seconds: float, level: str, fields: Mapping[str, Any]) -> None:
        """Enqueue a record; its field `event` is the message."""
        if not self.counted.take():
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
    def __init__(self, inner: LogRecordExporter, counted: _Counted) -> None:
        self._inner, self._counted = inner, counted

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = LogRecordExportResult.FAILURE
        try:
            result = self._inner.export(batch)
        finally:
            self._counted.settle(len(batch), arrived=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


_OWN_PLACE = frozenset({"event", "trace_id", "span_id"})


def _plain(value: object) -> str | int | float:
    return value if isinstance(value, int | float) else sanitized(str(value))


def _context_of(fields: Mapping[str, Any]) -> Any:
    if "span_id" not in fields:
        return None
    ids = int(fields["trace_id"], 16), int(fields["span_id"], 16)
    return set_span_in_context(NonRecordingSpan(SpanContext(*ids, False, TraceFlags(TraceFlags.SAMPLED))))


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


def _span_exporter(
    destination: Destination, encode: Callable[[Sequence[ReadableSpan]], ExportTraceServiceRequest]
) -> SpanExporter:
    where, headers = destination.endpoint, dict(destination.headers)
    if destination.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as by_grpc

        class GrpcSpans(by_grpc.OTLPSpanExporter):
            def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
                return encode(data)

        return GrpcSpans(endpoint=where, headers=headers)
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as by_http

    class HttpSpans(by_http.OTLPSpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            sent = self._client.export(encode(spans).SerializeToString())
            return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    return HttpSpans(endpoint=where, headers=headers)


def _metric_exporter(destination: Destination) -> MetricExporter:
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
