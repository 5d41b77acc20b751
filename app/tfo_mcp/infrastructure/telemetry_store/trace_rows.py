"""Makes rows of OTLP's trace requests."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfo_mcp.infrastructure.telemetry_store.attributes import AttributeReader, service_of
from tfo_mcp.infrastructure.telemetry_store.rows import (
    Rejections,
    RowBatch,
    UnusableRecord,
    hex_id,
    shared_columns,
    usable_time,
)
from tfo_mcp.infrastructure.telemetry_store.tables import TRACE_TIMES, TRACES

_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUSES = ("Unset", "Ok", "Error")
_MAX_EVENTS = 256
_MAX_LINKS = 256


def add_traces(
    request: ExportTraceServiceRequest, batch: RowBatch, rejections: Rejections, reader: AttributeReader
) -> None:
    """Add the spans of a request to a batch."""
    times: dict[str, tuple[int, int]] = {}
    for resource_spans in request.resource_spans:
        resource = reader.map(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            shared = shared_columns(
                {
                    "ServiceName": service_of(resource),
                    "ResourceAttributes": resource,
                    "ScopeName": reader.text(scope_spans.scope.name),
                    "ScopeVersion": reader.text(scope_spans.scope.version),
                }
            )
            for span in scope_spans.spans:
                try:
                    _add_span(span, batch, shared, reader, times)
                except UnusableRecord as problem:
                    rejections.reasons[str(problem)] += 1
    for trace_id, (start, end) in times.items():
        batch.add(TRACE_TIMES, {"TraceId": trace_id, "Start": start, "End": end})


def _add_span(
    span: Span, batch: RowBatch, shared: bytes, reader: AttributeReader, times: dict[str, tuple[int, int]]
) -> None:
    trace_id = hex_id(span.trace_id, 16, "trace_id", required=True)
    start, end = usable_time(span.start_time_unix_nano), usable_time(span.end_time_unix_nano)
    end = max(start, end)
    row = {
        "Timestamp": start,
        "TraceId": trace_id,
        "SpanId": hex_id(span.span_id, 8, "span_id", required=True),
        "ParentSpanId": hex_id(span.parent_span_id, 8, "parent_span_id", required=False),
        "TraceState": reader.text(span.trace_state),
        "SpanName": reader.text(span.name),
        "SpanKind": _KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else _KINDS[0],
        "SpanAttributes": reader.map(span.attributes),
        "Duration": end - start,
        "StatusCode": _STATUSES[span.status.code] if 0 <= span.status.code < len(_STATUSES) else _STATUSES[0],
        "StatusMessage": reader.text(span.status.message),
        "Events": [
            {
                "Timestamp": usable_time(event.time_unix_nano),
                "Name": reader.text(event.name),
                "Attributes": reader.map(event.attributes),
            }
            for event in span.events[:_MAX_EVENTS]
        ],
        "Links": [
            {
                "TraceId": link.trace_id[:16].hex(),
                "SpanId": link.span_id[:8].hex(),
                "TraceState": reader.text(link.trace_state),
                "Attributes": reader.map(link.attributes),
            }
            for link in span.links[:_MAX_LINKS]
        ],
    }
    batch.add(TRACES, row, shared)
    earliest, latest = times.get(trace_id, (start, end))
    times[trace_id] = (min(earliest, start), max(latest, end))
