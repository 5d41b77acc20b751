"""Spans: trace context of calls, and sampling.

The span of a call stores only what differs between calls; `span_encoder` encodes it. Other spans, of libraries or of
requests to a model, are ordinary spans of the SDK. Must not know exporters.
"""

from collections.abc import Callable, Mapping
from contextvars import Token
from dataclasses import dataclass
from time import monotonic, time_ns
from typing import Any, Protocol

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
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

_SENT = ("traceparent", "tracestate", "baggage")
_NOWHERE = Context()
_STORED_PER_SECOND, _STORED_BURST = 100, 1000
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


class RecordingRate:
    """Limits the spans that are recorded in a second, after a burst.

    Args:
        per_second: spans in the long run.
        burst: spans at once after a quiet time.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = monotonic) -> None:
        self._interval = 1 / per_second
        self._ahead = burst / per_second
        self._clock = clock
        self._spent_until = 0.0

    def take(self) -> bool:
        """Return whether one more span may be recorded now, and count it."""
        now = self._clock()
        spent_until = max(self._spent_until, now - self._ahead) + self._interval
        if spent_until > now:
            return False
        self._spent_until = spent_until
        return True


def rate_of_stored_calls() -> RecordingRate:
    """Return the rate of calls that are recorded for the telemetry store alone: enough to look at, at little cost."""
    return RecordingRate(_STORED_PER_SECOND, _STORED_BURST)


class TraceStarter:
    """Starts the spans of calls: finds their parents and makes the sampling decision.

    Args:
        bound: a trace is recorded if the lower 64 bits of its id are below it.
        follows: whether a client's sampling decision takes precedence.
        places: the export queue; while it is full, no spans are started.
        rate: limits the started spans; None for no limit.
    """

    def __init__(self, bound: int, follows: bool, places: Places, rate: RecordingRate | None) -> None:
        self._bound = bound
        self._follows = follows
        self._places = places
        self._rate = rate
        self._ids = RandomIdGenerator()

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> CallTrace | None:
        """Start the span of a call.

        Its parent is the span in `sent`, the request's `_meta`, otherwise the one in the HTTP header, otherwise none.
        Returns None while the export queue is full or the rate is used up: then a call costs no more than without
        traces.
        """
        if self._rate is not None and not self._rate.take():
            return None
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


def _extract(carrier: Mapping[str, str]) -> Context:
    return _baggage.extract(carrier, _trace_context.extract(carrier, _NOWHERE))


def _span_of(context: Context) -> SpanContext | None:
    found = get_current_span(context).get_span_context()
    return found if found.is_valid else None
