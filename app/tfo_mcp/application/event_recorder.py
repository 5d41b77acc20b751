"""EventRecorder: an event bus that also records the events of calls for the event log.

Recording never waits: events are put into the outbox in batches, behind the calls. The buffer is bounded; events beyond
are dropped and counted. Events that change an aggregate in a database are recorded by its store, in the same
transaction. Knows no database and no event log.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice
from time import time

import anyio

from tfo_mcp.application.event_records import CURRENT_TRACE, EventRecords, is_logged
from tfo_mcp.application.ports import EventBus, EventT, Outbox, RecordedEvent, Trace
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.events import DomainEvent

_MOST_WAITING = 100_000
_BATCH = 1000
_BATCH_SECONDS = 0.1
_RETRY_SECONDS = 0.5
_WRITTEN_SECONDS = 2.0
_CLOSING_SECONDS = 2.0


class EventRecorder:
    """Publishes events on the bus of this process, and records them.

    Args:
        bus: delivers the events to listeners.
        outbox: holds the records until they are in the event log.
        on_put: called after records were put into the outbox.
        stored_elsewhere: types of events that their store records.
        batch_seconds: how long events wait for others, so that they are written together.
        most_waiting: maximum events that are not in the outbox yet.
    """

    def __init__(
        self,
        bus: EventBus,
        outbox: Outbox,
        records: EventRecords,
        on_put: Callable[[], None],
        stored_elsewhere: Collection[type[DomainEvent]] = (),
        batch_seconds: float = _BATCH_SECONDS,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._bus = bus
        self._outbox = outbox
        self.records = records
        self._on_put = on_put
        self._elsewhere = frozenset(stored_elsewhere)
        self._batch_seconds = batch_seconds
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[DomainEvent, float, Trace | str | None]] = deque()
        self._unstored: list[RecordedEvent] = []
        self._taken = self._settled = 0
        self._arrived = anyio.Event()
        self._progress = anyio.Event()
        self._putting = anyio.Lock()
        self.dropped = 0
        """Events that were dropped because the buffer was full."""

    @property
    def waiting(self) -> int:
        """Events that are not in the outbox yet."""
        return len(self._waiting) + len(self._unstored)

    def publish(self, event: DomainEvent) -> None:
        """Call the listeners, and record the event if the event log keeps it."""
        self._bus.publish(event)
        if is_logged(event) and type(event) not in self._elsewhere:
            self.record(event)

    def record(self, event: DomainEvent) -> None:
        """Record an event that the event log keeps."""
        if len(self._waiting) >= self._most_waiting:
            self.dropped += 1
            return
        self._waiting.append((event, time(), CURRENT_TRACE.get()))
        self._taken += 1
        if not self._arrived.is_set():
            self._arrived.set()

    def subscribe(self, types: Sequence[type[EventT]], listener: Callable[[EventT], None]) -> Callable[[], None]:
        """Call `listener` with each event of these types; return a function that unsubscribes."""
        return self._bus.subscribe(types, listener)

    async def written(self) -> None:
        """Wait until the events recorded so far are in the outbox.

        Raises:
            StateUnavailable: they are not there within two seconds; they are put there later.
        """
        target = self._taken
        with anyio.move_on_after(_WRITTEN_SECONDS):
            while self._settled < target:
                await self._progress.wait()
            return
        raise StateUnavailable("The server cannot record what it did at the moment: try again in a second")

    async def run(self) -> None:
        """Put the recorded events into the outbox until cancelled."""
        while True:
            await self._arrived.wait()
            await anyio.sleep(self._batch_seconds)
            try:
                await self._put_all()
            except StateUnavailable:
                await anyio.sleep(_RETRY_SECONDS)

    async def aclose(self) -> None:
        """Put the events that are left into the outbox, within two seconds."""
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True), suppress(StateUnavailable):
            await self._put_all()

    async def _put_all(self) -> None:
        async with self._putting:
            while self._waiting or self._unstored:
                if not self._unstored:
                    taken = list(islice(self._waiting, _BATCH))
                    self._unstored = [self.records.of(*each) for each in taken]
                    for _ in taken:
                        self._waiting.popleft()
                await self._outbox.put(self._unstored)
                self._settled += len(self._unstored)
                self._unstored = []
                self._progress.set()
                self._progress = anyio.Event()
                self._on_put()
            self._arrived = anyio.Event()
