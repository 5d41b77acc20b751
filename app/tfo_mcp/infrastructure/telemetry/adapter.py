"""Observing: the adapter of the Telemetry port that records metrics and, if they are exported, spans.

Owns the names of most metrics; docs/telemetry.md lists them. Metrics that are not about calls are derived from domain
events.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, perf_counter
from typing import Any, cast

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from tfo_mcp.application.ports import EventBus, ModelCall, ModelReply, ModelRequest, Operation, Trace
from tfo_mcp.domain.events import (
    AuthenticationDecided,
    RateLimitDecided,
    SandboxRefused,
    SessionClosed,
    SessionCreated,
    SettingsReloaded,
)
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.infrastructure.telemetry.exporters import SpanExport
from tfo_mcp.infrastructure.telemetry.instruments import Instruments
from tfo_mcp.infrastructure.telemetry.spans import CallSpan, CallTrace, TraceStarter, attributes_of, leave
from tfo_mcp.infrastructure.telemetry.values import sanitized

_OPERATION_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_MODEL_BOUNDS = tuple(0.01 * 2**power for power in range(14))
_TOKEN_BOUNDS = tuple(4**power for power in range(14))
_OPERATION_LABELS = tuple(
    attributes_of(Operation("tools/call", *["-"] * 7))  # all attribute names
)
_LONGEST_NAME = 256
_MODEL_LABELS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model")
_CHAT, _PROVIDER, _OTHER = "chat", "anthropic", "_OTHER"


class Observing:
    """Records metrics of calls, and spans of those that are sampled.

    Args:
        instruments: receives the metrics.
        spans: exports spans; None if they are not exported.
        resource: the resource attributes of spans.
        sampled: the sampling decision, as `destination.sampling` returns it.
        wants_content: whether spans include arguments and results.
    """

    def __init__(
        self,
        instruments: Instruments,
        spans: SpanExport | None,
        resource: Resource,
        sampled: tuple[int, bool],
        *,
        wants_content: bool,
    ) -> None:
        self.wants_content = wants_content
        self._spans = spans
        self._trace_starter = None if spans is None else TraceStarter(*sampled, spans.counted)
        self._tracer = None if spans is None else _tracer(spans, resource)
        self._operations = instruments.histogram(
            "mcp.server.operation.duration", "s", "Duration of calls.", _OPERATION_LABELS, _OPERATION_BOUNDS
        )
        self._labels: dict[Operation, tuple[str | None, ...]] = {}
        self._model_calls = instruments.histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of requests to the language model.",
            (*_MODEL_LABELS, "error.type"),
            _MODEL_BOUNDS,
        )
        self._tokens = instruments.histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens that requests to the language model took.",
            (*_MODEL_LABELS, "gen_ai.token.type"),
            _TOKEN_BOUNDS,
        )
        self._event_metrics = EventMetrics(instruments)

    def begin(self, sent: Mapping[str, Any], header: Callable[[str], str | None]) -> Trace | None:
        """Start the span of a call."""
        return None if self._trace_starter is None else self._trace_starter.begin(sent, header)

    def end(self, trace: Trace | None, operation: Operation, seconds: float, details: Mapping[str, str]) -> None:
        """Record the call, and end its span."""
        labels = self._labels.get(operation)
        if labels is None:
            attributes = attributes_of(operation)
            labels = tuple(attributes.get(name) for name in _OPERATION_LABELS)
            if len(self._labels) < 2000:
                self._labels[operation] = labels
        self._operations.record(labels, seconds)
        if trace is not None:
            own = cast(CallTrace, trace)
            leave(own)
            if own.recorded and self._spans is not None:
                self._spans.take(CallSpan(own, operation, details))

    @contextmanager
    def asking(self, request: ModelRequest, model: str, max_tokens: int) -> Iterator[ModelCall]:
        """Record a request to the language model."""
        model = sanitized(model, _LONGEST_NAME)
        watched = _Watched(self._tracer, request, model, max_tokens)
        try:
            yield watched
        except BaseException as problem:
            watched.error = type(problem).__name__
            raise
        finally:
            watched.finish()
            named = model if watched.reply is not None or request.model is None else _OTHER  # bounds the cardinality
            labels = (_CHAT, _PROVIDER, named, watched.response_model)
            self._model_calls.record((*labels, watched.error), perf_counter() - watched.started)
            if watched.reply is not None:
                self._tokens.record((*labels, "input"), watched.reply.input_tokens)
                self._tokens.record((*labels, "output"), watched.reply.output_tokens)

    def listen(self, events: EventBus) -> None:
        """Subscribe to the domain events that metrics are made from."""
        self._event_metrics.listen(events)


class _Watched:
    """One request to the language model, and its span."""

    def __init__(self, tracer: Tracer | None, request: ModelRequest, model: str, max_tokens: int) -> None:
        self.started = perf_counter()
        self.reply: ModelReply | None = None
        self.error: str | None = None
        self._span: ApiSpan | None = None
        if tracer is not None:
            attributes: dict[str, str | int | float] = {
                "gen_ai.operation.name": _CHAT,
                "gen_ai.provider.name": _PROVIDER,
                "gen_ai.request.model": model,
                "gen_ai.request.max_tokens": max_tokens,
            }
            if request.temperature is not None:
                attributes["gen_ai.request.temperature"] = request.temperature
            self._span = tracer.start_span(f"{_CHAT} {model}", kind=SpanKind.CLIENT, attributes=attributes)

    @property
    def response_model(self) -> str | None:
        return None if self.reply is None else self.reply.model

    def answered(self, reply: ModelReply) -> None:
        """Keep the reply for its metadata; its text is not recorded."""
        self.reply = reply

    def finish(self) -> None:
        if self._span is None:
            return
        if self.reply is not None:
            self._span.set_attributes(
                {
                    "gen_ai.response.model": self.reply.model,
                    "gen_ai.response.finish_reasons": [self.reply.stop_reason or "unknown"],
                    "gen_ai.usage.input_tokens": self.reply.input_tokens,
                    "gen_ai.usage.output_tokens": self.reply.output_tokens,
                }
            )
        if self.error is not None:
            self._span.set_attribute("error.type", self.error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class EventMetrics:
    """Records metrics of domain events."""

    def __init__(self, instruments: Instruments) -> None:
        self._durations = instruments.histogram(
            "mcp.server.session.duration", "s", "Duration of sessions.", ("mcp.protocol.version",), _OPERATION_BOUNDS
        )
        self._authentication = instruments.counter(
            "tfo_mcp.authentication.decisions",
            "{decision}",
            "Authentication decisions on network requests and connections.",
            ("decision", "method"),
        )
        self._limits = instruments.counter(
            "tfo_mcp.rate_limit.decisions",
            "{decision}",
            "Rate limit decisions on calls.",
            ("decision", "policy"),
        )
        self._refusals = instruments.counter(
            "tfo_mcp.sandbox.refusals",
            "{refusal}",
            "Refused accesses to files outside the roots and refused commands.",
            ("place",),
        )
        self._reloads = instruments.counter("tfo_mcp.reloads", "{reload}", "Reloads of the settings.", ("outcome",))
        self._open: dict[SessionId, tuple[float, str]] = {}
        instruments.observed("tfo_mcp.sessions.active", "{session}", "Sessions that are open.").add(
            {}, lambda: len(self._open)
        )

    def listen(self, events: EventBus) -> None:
        """Subscribe to the domain events that metrics are made from."""
        events.subscribe([SessionCreated], self._created)
        events.subscribe([SessionClosed], self._closed)
        events.subscribe(
            [AuthenticationDecided], lambda event: self._authentication.add((_word(event.allowed), event.method))
        )
        events.subscribe([RateLimitDecided], lambda event: self._limits.add((_word(event.allowed), event.policy)))
        events.subscribe([SandboxRefused], lambda event: self._refusals.add((event.place,)))
        events.subscribe(
            [SettingsReloaded], lambda event: self._reloads.add(("applied" if event.applied else "refused",))
        )

    def _created(self, event: SessionCreated) -> None:
        self._open[event.session_id] = (monotonic(), event.version)

    def _closed(self, event: SessionClosed) -> None:
        begun = self._open.pop(event.session_id, None)
        if begun is not None:
            self._durations.record((begun[1],), monotonic() - begun[0])


class _Into(SpanProcessor):
    """Passes spans of the SDK to the export, which drops them if its queue is full."""

    def __init__(self, spans: SpanExport) -> None:
        self._spans = spans

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Enqueue the span."""
        self._spans.take(span)


def _tracer(spans: SpanExport, resource: Resource) -> Tracer:
    provider = TracerProvider(resource=resource, sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(_Into(spans))
    return provider.get_tracer("tfo_mcp")


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "refused"
