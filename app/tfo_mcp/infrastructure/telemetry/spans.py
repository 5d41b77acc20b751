"""Spans: trace context of calls, sampling, and the encoding of spans for OTLP.

The span of a call stores only what differs between calls. What calls of one operation share is encoded once, as a
template of the official protobuf types (docs/adr/0013). Other spans, of libraries or of requests to a model, are
ordinary spans of the SDK. Must not know exporters.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass
from time import time_ns
from typing import Any, Protocol

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, SpanFlags, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as EncodedSpan
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tfo_mcp.application.ports import Operation
from tfo_mcp.infrastructure.telemetry.values import sanitized

_SENT = ("traceparent", "tracestate", "baggage")
_NOWHERE = Context()
_MOST_TEMPLATES = 2000
_LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_RECORDED, _NOT_RECORDED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
_trace_context, _baggage = TraceContextTextMapPropagator(), W3CBaggagePropagator()


class Places(Protocol):
    """The bounded queue of the span export."""

    dropped: int

    def is_left(self) -> bool:
        """Return whether the queue has room for one more."""


@dataclass(slots=True)
class CallTrace:
    """The trace context of one call; `token` is set if it is the current context of the call's task."""

    trace_number: int
    span_number: int
    recorded: bool
    parent: SpanContext | None = None
    link: SpanContext | None = None
    started_ns: int = 0
    token: Token[Context] | None = None

    @property
    def trace_id(self) -> str:
        """The trace id, 32 hexadecimal digits."""
        return format_trace_id(self.trace_number)

    @property
    def span_id(self) -> str:
        """The span id of the call, 16 hexadecimal digits."""
        return format_span_id(self.span_number)

    @property
    def state(self) -> TraceState | None:
        """The vendors' trace state (W3C tracestate)."""
        return None if self.parent is None else self.parent.trace_state

    def context(self) -> SpanContext:
        """Return the span context for children of the call."""
        return SpanContext(
            self.trace_number, self.span_number, False, _RECORDED if self.recorded else _NOT_RECORDED, self.state
        )


class CallSpan(ReadableSpan):
    """The ended span of a call; the SDK's processor only queues it, and `Encoder` reads it."""

    def __init__(self, trace: CallTrace, operation: Operation, details: Mapping[str, str]) -> None:
        # does not call the SDK's constructor, whose fields nothing reads
        self.trace = trace
        self.operation = operation
        self.details = details
        self.ended_ns = time_ns()

    @property
    def context(self) -> SpanContext:
        """The span's own context."""
        return self.trace.context()


class TraceStarter:
    """Starts the spans of calls: finds their parents and makes the sampling decision.

    Args:
        bound: a trace is recorded if the lower 64 bits of its id are below it.
        follows: whether a client's sampling decision takes precedence.
        places: the export queue; while it is full, no spans are started.
    """

    def __init__(self, bound: int, follows: bool, places: Places) -> None:
        self._bound = bound
        self._follows = follows
        self._places = places
        self._ids = RandomIdGenerator()

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> CallTrace | None:
        """Start the span of a call.

        Its parent is the span in `sent`, the request's `_meta`, otherwise the one in the HTTP header, otherwise none.
        Returns None while the export queue is full: then a call costs no more than without traces.
        """
        around, from_header = sent.get("traceparent"), header("traceparent")
        trace_number = self._ids.generate_trace_id()
        if not self._places.is_left():
            if around is not None or from_header is not None or self._is_recorded(trace_number):
                self._places.dropped += 1
            return None
        if around is None and from_header is None:
            trace = CallTrace(trace_number, self._ids.generate_span_id(), self._is_recorded(trace_number))
            return _entered(trace, _NOWHERE) if trace.recorded else trace
        return self._within(sent, from_header, header)

    def _within(
        self, sent: Mapping[str, Any], from_header: str | None, header: Callable[[str], str | None]
    ) -> CallTrace:
        own = _extract({name: value for name in _SENT if isinstance(value := sent.get(name), str)})
        outer = _NOWHERE
        if from_header is not None:
            outer = _extract({"traceparent": from_header, "tracestate": header("tracestate") or ""})
        parent, link = _span_of(own), _span_of(outer)
        if parent is None:
            own, parent, link = outer, link, None
        trace_number = self._ids.generate_trace_id() if parent is None else parent.trace_id
        if parent is not None and self._follows:
            recorded = bool(parent.trace_flags.sampled)
        else:
            recorded = self._is_recorded(trace_number)
        return _entered(CallTrace(trace_number, self._ids.generate_span_id(), recorded, parent, link), own)

    def _is_recorded(self, trace_number: int) -> bool:
        return trace_number & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound


def _entered(trace: CallTrace, around: Context) -> CallTrace:
    """Make the call's span the current one of the task."""
    trace.token = attach(set_span_in_context(NonRecordingSpan(trace.context()), around))
    if trace.recorded:
        trace.started_ns = time_ns()
    return trace


def leave(trace: CallTrace) -> None:
    """Restore the task's previous context."""
    if trace.token is not None:
        detach(trace.token)


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


def attributes_of(operation: Operation) -> Mapping[str, str]:
    """Return the attributes that spans and metrics of an operation share (OpenTelemetry conventions for MCP)."""
    named = {
        "mcp.method.name": operation.method,
        "mcp.protocol.version": operation.version,
        "network.transport": operation.transport,
        "network.protocol.name": operation.protocol,
        "gen_ai.tool.name": operation.tool,
        "gen_ai.prompt.name": operation.prompt,
        "gen_ai.operation.name": "execute_tool" if operation.method == "tools/call" else None,
        "error.type": operation.error,
        "rpc.response.status_code": operation.status,
    }
    return {name: value for name, value in named.items() if value is not None}


def _add(span: EncodedSpan, name: str, value: str) -> None:
    attribute = span.attributes.add()
    attribute.key = name
    attribute.value.string_value = sanitized(value)


def _extract(carrier: Mapping[str, str]) -> Context:
    return _baggage.extract(carrier, _trace_context.extract(carrier, _NOWHERE))


def _span_of(context: Context) -> SpanContext | None:
    found = get_current_span(context).get_span_context()
    return found if found.is_valid else None
