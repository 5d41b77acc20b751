"""EventRecords: turns domain events into records for the event log, without session ids. Knows no log and no outbox."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import fields
from hashlib import blake2b
from itertools import count
from secrets import token_hex
from time import time

from tfo_mcp.application.ports import RecordedEvent, Trace
from tfo_mcp.domain.events import LOGGED, DomainEvent

CURRENT_TRACE: ContextVar[Trace | str | None] = ContextVar("current_trace", default=None)
"""The trace of the current call, or the trace context that its client sent (W3C traceparent)."""
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in LOGGED}
_SESSION = "session_id"
_TIME_DIGITS = 6  # microseconds, as logs keep them


def is_logged(event: DomainEvent) -> bool:
    """Return whether the event log keeps an event."""
    return type(event) in _FIELDS and getattr(event, "allowed", False) is False


class EventRecords:
    """Makes the records of one process."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._origin = token_hex(8)
        self._numbers = count(1)

    def of(self, event: DomainEvent, at: float | None = None, trace: Trace | str | None = None) -> RecordedEvent:
        """Return the record of an event that the event log keeps, with a new id.

        Args:
            at: when it happened, in seconds since 1970; by default now.
            trace: the trace of its call; by default the current one.
        """
        data = {name: getattr(event, name) for name in _FIELDS[type(event)]}
        if _SESSION in data:
            data["session"] = blake2b(str(data.pop(_SESSION)).encode(), digest_size=8).hexdigest()
        identity = "session" if event.identity == _SESSION else event.identity
        return RecordedEvent(
            f"{self._origin}-{next(self._numbers):x}",
            type(event).__name__,
            event.aggregate,
            "" if identity is None else data[identity],
            round(self._clock() if at is None else at, _TIME_DIGITS),
            data,
            _traceparent(CURRENT_TRACE.get() if trace is None else trace),
        )

    def of_all(self, events: Sequence[DomainEvent]) -> list[RecordedEvent]:
        """Return the records of those events that the event log keeps."""
        return [self.of(event) for event in events if is_logged(event)]


def _traceparent(trace: Trace | str | None) -> str | None:
    if trace is None or isinstance(trace, str):
        return trace
    return f"00-{trace.trace_id}-{trace.span_id}-{'01' if trace.recorded else '00'}"
