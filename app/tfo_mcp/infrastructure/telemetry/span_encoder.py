"""Encodes spans for OTLP.

What calls of one operation share is encoded once, as a template of the official protobuf types (docs/adr/0013).
Imported with the first export: the types take 30 ms, which the start of a server can do without.
"""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, SpanFlags, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as EncodedSpan
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from tfo_mcp.application.ports import Operation
from tfo_mcp.infrastructure.telemetry.spans import CallSpan, attributes_of
from tfo_mcp.infrastructure.telemetry.values import sanitized

_MOST_TEMPLATES = 2000
_LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


class Encoder:
    """Encodes spans as requests to an OTLP endpoint."""

    def __init__(self, resource: Resource, scope: InstrumentationScope) -> None:
        self._frame = self._empty(resource, scope)
        self._templates: dict[Operation, EncodedSpan] = {}

    def request(self, spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        """Return the export request of these spans."""
        request = encode_spans([span for span in spans if not isinstance(span, CallSpan)])
        calls = [span for span in spans if isinstance(span, CallSpan)]
        if calls:
            frame = request.resource_spans.add()
            frame.CopyFrom(self._frame)
            for call in calls:
                self._encode(call, frame.scope_spans[0].spans.add())
        return request

    def _encode(self, call: CallSpan, span: EncodedSpan) -> None:
        trace = call.trace
        span.CopyFrom(self._template(call.operation))
        span.trace_id = trace.trace_number.to_bytes(16, "big")
        span.span_id = trace.span_number.to_bytes(8, "big")
        span.start_time_unix_nano = trace.started_ns
        span.end_time_unix_nano = call.ended_ns
        if trace.parent is not None:
            span.parent_span_id = trace.parent.span_id.to_bytes(8, "big")
            span.trace_state = trace.parent.trace_state.to_header()
            span.flags = _REMOTE
        if trace.link is not None:
            link = span.links.add()
            link.trace_id = trace.link.trace_id.to_bytes(16, "big")
            link.span_id = trace.link.span_id.to_bytes(8, "big")
            link.flags = _REMOTE
        for name, value in call.details.items():
            _add(span, name, value)

    def _template(self, operation: Operation) -> EncodedSpan:
        template = self._templates.get(operation)
        if template is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            template = self._templates[operation] = _template(operation)
        return template

    def _empty(self, resource: Resource, scope: InstrumentationScope) -> ResourceSpans:
        nothing = ReadableSpan("", SpanContext(1, 1, False), resource=resource, instrumentation_scope=scope)
        frame: ResourceSpans = encode_spans([nothing]).resource_spans[0]
        del frame.scope_spans[0].spans[:]
        return frame


def _template(operation: Operation) -> EncodedSpan:
    target = operation.tool or operation.prompt
    span = EncodedSpan(
        name=operation.method if target is None else sanitized(f"{operation.method} {target}"),
        kind=EncodedSpan.SpanKind.SPAN_KIND_SERVER,
        flags=_LOCAL,
    )
    for name, value in attributes_of(operation).items():
        _add(span, name, value)
    if operation.error is not None:
        span.status.code = Status.StatusCode.STATUS_CODE_ERROR
    return span


def _add(span: EncodedSpan, name: str, value: str) -> None:
    attribute = span.attributes.add()
    attribute.key = name
    attribute.value.string_value = sanitized(value)
