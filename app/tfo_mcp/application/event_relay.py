"""EventRelay: moves events from the outbox into the event log, in order. Knows no database and no broker.

An event leaves the outbox after the log has it. A relay that is killed in between sends it again, and the log drops it
by its id.
"""

from collections.abc import Callable
from contextlib import suppress
from time import time

import anyio

from tfo_mcp.application.breaker import Breaker
from tfo_mcp.application.ports import EventLog, EventLogUnavailable, Outbox
from tfo_mcp.domain.errors import StateUnavailable

_BATCH = 500
_LOOK_SECONDS = 0.5  # events of processes that share the outbox
_RETRY_SECONDS = 0.5
_CLOSING_SECONDS = 2.0


class EventRelay:
    """Drains an outbox while it runs.

    Args:
        on_outage: called with the reason when the event log becomes unavailable, and with None when it is back.
    """

    def __init__(
        self,
        outbox: Outbox,
        log: EventLog,
        on_outage: Callable[[str | None], None],
        clock: Callable[[], float] = time,
    ) -> None:
        self._outbox = outbox
        self._log = log
        self._on_outage = on_outage
        self._clock = clock
        self._arrived = anyio.Event()
        self._outage = Breaker(1)
        self._oldest: float | None = None
        self.relayed = 0
        """Events that this process has moved into the event log."""

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest event in the outbox, as far as this process drains it; 0 if there is none."""
        return 0.0 if self._oldest is None else max(0.0, self._clock() - self._oldest)

    def notify(self) -> None:
        """Look into the outbox soon, because events were put there."""
        self._arrived.set()

    async def run(self) -> None:
        """Drain the outbox until cancelled."""
        while True:
            self._arrived = anyio.Event()
            try:
                await self._drain()
            except (StateUnavailable, EventLogUnavailable):
                await anyio.sleep(_RETRY_SECONDS)
                continue
            with anyio.move_on_after(_LOOK_SECONDS):
                await self._arrived.wait()

    async def aclose(self) -> None:
        """Move the events that are left within two seconds, and let another process drain the outbox."""
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True), suppress(StateUnavailable, EventLogUnavailable):
            try:
                await self._drain()
            finally:
                await self._outbox.release()
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
            await self._log.aclose()

    async def _drain(self) -> None:
        while True:
            batch = await self._outbox.oldest(_BATCH)
            self._oldest = batch.events[0].time if batch.events else None
            if not batch.events:
                return
            try:
                await self._log.append(batch.events)
            except EventLogUnavailable as problem:
                if self._outage.failed():
                    self._on_outage(str(problem))
                raise
            if self._outage.succeeded():
                self._on_outage(None)
            await self._outbox.remove(batch)
            self.relayed += len(batch.events)
