"""ChangeFeed: the changes since a listener last fetched them.

Pending changes of the same kind are coalesced, so a feed holds at most one entry per kind and URI that it listens to.
A slow reader therefore needs bounded memory and misses no change. Knows no protocol: the eras turn changes into
notifications.
"""

from collections.abc import Callable

import anyio

from tfo_mcp.application.ports import EventBus
from tfo_mcp.domain.events import CHANGES, Change, ResourceUpdated, Topic
from tfo_mcp.value_objects import value_object


@value_object
class ChangeFilter:
    """Selects the changes of a feed; with `uris` None, the updates of every resource."""

    topics: frozenset[Topic]
    uris: frozenset[str] | None = frozenset()


class ChangeFeed:
    """Collects the changes that match a filter until they are fetched."""

    def __init__(
        self, events: EventBus, filter: ChangeFilter, on_close: Callable[["ChangeFeed"], None] | None = None
    ) -> None:
        self._filter = filter
        self._on_close = on_close
        self._pending: dict[tuple[Topic, str], Change] = {}
        self._on_change: Callable[[], None] | None = None
        self._unsubscribe: Callable[[], None] = events.subscribe(CHANGES, self._receive)

    async def next(self) -> tuple[Change, ...]:
        """Wait for changes and return them, one per kind (and per URI for updates), oldest first."""
        if not self._pending:
            arrived = anyio.Event()
            self.call(arrived.set)
            await arrived.wait()
        return self.take()

    def take(self) -> tuple[Change, ...]:
        """Return the pending changes like `next`, without waiting."""
        changes = tuple(self._pending.values())
        self._pending.clear()
        return changes

    def call(self, on_change: Callable[[], None]) -> None:
        """Set the function that is called, without arguments, for each change; replaces the previous one.

        It is called at once if changes are pending already: they arrived before it was set.
        """
        self._on_change = on_change
        if self._pending:
            on_change()

    def close(self) -> None:
        """Stop listening."""
        self._unsubscribe()
        if self._on_close is not None:
            self._on_close(self)

    def _receive(self, change: Change) -> None:
        if isinstance(change, ResourceUpdated):
            if self._filter.uris is not None and change.uri not in self._filter.uris:
                return
            self._pending[change.topic, change.uri] = change
        elif change.topic in self._filter.topics:
            self._pending[change.topic, ""] = change
        else:
            return
        if self._on_change is not None:
            self._on_change()
