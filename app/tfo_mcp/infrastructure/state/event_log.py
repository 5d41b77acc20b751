"""MemoryEventLog and MemoryOutbox: recorded events in the memory of this process, the embedded default."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice

from tfo_mcp.application.ports import OutboxBatch, RecordedEvent

_MOST_EVENTS = 1000
_NONE = OutboxBatch((), ())


class MemoryEventLog:
    """The latest events of this process.

    Args:
        most_events: number of events to keep; older ones are dropped.
    """

    def __init__(self, most_events: int = _MOST_EVENTS) -> None:
        self._most_events = most_events
        self._events: OrderedDict[str, RecordedEvent] = OrderedDict()

    @property
    def events(self) -> Sequence[RecordedEvent]:
        """The events, oldest first."""
        return tuple(self._events.values())

    async def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append events whose ids are new."""
        for event in events:
            self._events.setdefault(event.id, event)
        while len(self._events) > self._most_events:
            self._events.popitem(last=False)

    def works(self) -> bool:
        """Return True: memory cannot be away."""
        return True

    async def aclose(self) -> None:
        """Do nothing: there is no connection to close."""


class MemoryOutbox:
    """Events that wait for the event log in this process; they end with it.

    Args:
        most_events: number of events to hold while the log is unavailable; the oldest are dropped.
    """

    def __init__(self, most_events: int) -> None:
        self._events: deque[RecordedEvent] = deque()
        self._most_events = most_events
        self._removed = 0
        self.dropped = 0
        """Events that were dropped because the outbox was full."""

    async def put(self, events: Sequence[RecordedEvent]) -> None:
        """Add events."""
        self._events.extend(events)
        surplus = max(0, len(self._events) - self._most_events)
        for _ in range(surplus):
            self._events.popleft()
        self._removed += surplus
        self.dropped += surplus

    async def oldest(self, limit: int) -> OutboxBatch:
        """Return up to `limit` of the oldest events."""
        if not self._events:
            return _NONE
        events = tuple(islice(self._events, limit))
        return OutboxBatch(events, range(self._removed, self._removed + len(events)))

    async def remove(self, batch: OutboxBatch) -> None:
        """Remove events; those that were dropped meanwhile count as removed."""
        for position in batch.positions:
            if position >= self._removed:
                self._events.popleft()
                self._removed += 1

    async def release(self) -> None:
        """Do nothing: no other process drains this outbox."""
