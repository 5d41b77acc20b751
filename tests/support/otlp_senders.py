"""The exporters of OpenTelemetry's Python SDK, which send one of everything: spans, logs and five kinds of metrics."""

from collections.abc import Sequence
from time import time_ns
from typing import Any, Literal

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

Protocol = Literal["grpc", "http"]
LINKED = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1))


def exporters(protocol: Protocol, address: str, headers: dict[str, str] | None = None, **more: Any) -> Sequence[Any]:
    """Return the exporters of spans, logs and metrics.

    Args:
        protocol: which of the SDK's exporters.
        address: base URL, or `host:port` for gRPC.
        headers: headers of every request.
        more: further arguments of the exporters.
    """
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import _log_exporter, metric_exporter, trace_exporter

        shared = {"endpoint": address, "insecure": True, "headers": headers, **more}
        return (
            trace_exporter.OTLPSpanExporter(**shared),
            _log_exporter.OTLPLogExporter(**shared),
            metric_exporter.OTLPMetricExporter(**shared),
        )
    from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
    from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces

    return (
        http_traces.OTLPSpanExporter(endpoint=f"{address}/v1/traces", headers=headers, **more),
        http_logs.OTLPLogExporter(endpoint=f"{address}/v1/logs", headers=headers, **more),
        http_metrics.OTLPMetricExporter(endpoint=f"{address}/v1/metrics", headers=headers, **more),
    )


def send_everything(service: str, spans: Any, logs: Any, metrics: Any) -> str:
    """Send a trace of two spans, a log record within it and points of four kinds; return the id of the trace."""
    resource = Resource.create({"service.name": service, "service.version": "1.2.3", "zones": ["a", "b"]})
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    logger_provider = LoggerProvider(resource, shutdown_on_exit=False)
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
    view = View(instrument_type=Histogram, instrument_name="exp*", aggregation=ExponentialBucketHistogramAggregation())
    meter_provider = MeterProvider([reader], resource, views=[view], shutdown_on_exit=False)
    meter = meter_provider.get_meter("measures", "0.1")
    tracer = tracer_provider.get_tracer("sender", "9.9")
    with tracer.start_as_current_span(
        "GET /cart", kind=SpanKind.SERVER, links=[Link(LINKED, {"why": "retry"})]
    ) as root:
        root.set_attributes({"text": "ünïcode\n\x00", "whole": 2**53 + 1, "real": 0.5, "yes": True, "list": [1, 2]})
        meter.create_counter("requests", "{request}", "All requests").add(3, {"route": "/cart"})
        meter.create_up_down_counter("open").add(-2)
        meter.create_gauge("level", "1").set(0.25)
        meter.create_histogram("latency", "s", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
        meter.create_histogram("exponential", "s").record(3.0)
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as inner:
            inner.add_event("exception", {"exception.type": "ValueError", "exception.message": "no cart 42"})
            inner.set_status(Status(StatusCode.ERROR, "no cart 42"))
            logger_provider.get_logger("app").emit(
                timestamp=time_ns(),
                severity_text="ERROR",
                severity_number=_severity(),
                body="no cart 42",
                attributes={"cart": 42},
            )
        trace_id = format(root.get_span_context().trace_id, "032x")
    for provider in (meter_provider, logger_provider, tracer_provider):
        provider.shutdown()
    return trace_id


def _severity() -> Any:
    from opentelemetry._logs import SeverityNumber

    return SeverityNumber.ERROR
