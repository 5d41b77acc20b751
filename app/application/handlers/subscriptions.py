"""SubscriptionHandler: opens the feeds of changes that clients listen to."""

from app.application.changes import ChangeFeed
from app.application.ports import EventBus
from app.application.queries import WatchChanges


class SubscriptionHandler:
    """Connects listeners to the event bus."""

    def __init__(self, events: EventBus) -> None:
        self._events = events

    async def watch(self, query: WatchChanges) -> ChangeFeed:
        """Open a feed; it holds every change from now on."""
        return ChangeFeed(self._events, query.filter)
