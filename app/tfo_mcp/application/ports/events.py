"""The ports of recorded events: the outbox that holds them, and the event log that keeps them for other systems."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tfo_mcp.value_objects import value_object


class RecordedEvent(NamedTuple):
    """A domain event as the event log keeps it.

    `id` is unique: the log drops an event whose id it has. `type` is the name of the event's class. Events of the same
    `aggregate` and `subject`, its id, are in order. `time` is in seconds since 1970, `data` holds plain JSON values.
    `traceparent` is the trace context of the call, in the form of W3C Trace Context.
    """

    id: str
    type: str
    aggregate: str
    subject: str
    time: float
    data: Mapping[str, Any]
    traceparent: str | None = None


class EventLogUnavailable(Exception):
    """The event log cannot be reached. The message is for operators."""


class EventLog(Protocol):
    """Keeps events for the systems that watch: each once, those of one aggregate in order."""

    async def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append events in this order; return when the log keeps them all. Events whose ids it has are dropped.

        Raises:
            EventLogUnavailable: some of them may be kept. The same events are appended again later, in the same order.
        """

    def works(self) -> bool:
        """Return whether the last attempt to append succeeded; must not block."""

    async def aclose(self) -> None:
        """Close connections."""


@value_object
class OutboxBatch:
    """The oldest events of an outbox, in order; `positions` are the outbox's own."""

    events: Sequence[RecordedEvent]
    positions: Sequence[int]


class Outbox(Protocol):
    """Holds events until they are in the event log. Processes may share one; one of them drains it at a time.

    Every method raises StorageUnavailable while an outbox outside the process cannot be used.
    """

    async def put(self, events: Sequence[RecordedEvent]) -> None:
        """Add events: all of them, or none if that fails."""

    async def oldest(self, limit: int) -> OutboxBatch:
        """Return up to `limit` of the oldest events; none if there are none, or if another process drains the outbox.

        The caller drains it from then on, until it stops to ask for several seconds.
        """

    async def remove(self, batch: OutboxBatch) -> None:
        """Remove events that are in the event log."""

    async def release(self) -> None:
        """Let another process drain the outbox at once."""
