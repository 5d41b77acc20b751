"""Observing: the adapter of the Telemetry port that records metrics and, if they are exported, spans.

Owns the names of most metrics; docs/telemetry.md lists them. Metrics that are not about calls are derived from domain
events.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any, cast

from tfo_mcp.application.ports import EventBus, ModelCall, ModelRequest, Operation, Trace
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
from tfo_mcp.infrastructure.telemetry.model_metrics import ModelMetrics
from tfo_mcp.infrastructure.telemetry.spans import CallSpan, CallTrace, TraceStarter, attributes_of, leave

_OPERATION_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_OPERATION_LABELS = tuple(
    attributes_of(Operation("tools/call", *["-"] * 7))  # all attribute names
)


class Observing:
    """Records metrics of calls, and spans of those that are sampled.

    Args:
        instruments: receives the metrics.
        spans: exports spans; None if they are not exported.
        wants_content: whether spans include arguments and results.
    """

    def __init__(
        self,
        instruments: Instruments,
        spans: SpanExport | None,
        *,
        wants_content: bool,
    ) -> None:
        self.wants_content = wants_content
        self._spans = spans
        self._trace_starter = None if spans is None else TraceStarter(*spans.sampled, spans.counted, spans.rate)
        self._tracer = None if spans is None else spans.tracer
        self._operations = instruments.histogram(
            "mcp.server.operation.duration", "s", "Duration of calls.", _OPERATION_LABELS, _OPERATION_BOUNDS
        )
        self._labels: dict[Operation, tuple[str | None, ...]] = {}
        self._model_metrics = ModelMetrics(instruments)
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

    def asking(self, request: ModelRequest, default_model: str) -> AbstractContextManager[ModelCall]:
        """Record a request to the language model."""
        return self._model_metrics.observing(request, default_model, self._tracer)

    def listen(self, events: EventBus) -> None:
        """Subscribe to the domain events that metrics are made from."""
        self._event_metrics.listen(events)


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


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "refused"
