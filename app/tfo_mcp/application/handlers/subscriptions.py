"""SubscriptionHandler: opens the change feeds that clients subscribe to."""

from tfo_mcp.application.changes import ChangeFeed
from tfo_mcp.application.commands import WatchChanges
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.domain.access import RESOURCES_READ
from tfo_mcp.domain.errors import ResourceNotFound


class SubscriptionHandler:
    """Opens change feeds on the event bus, and starts watching the resources that they name."""

    def __init__(self, events: EventBus, watched: WatchedResources) -> None:
        self._events = events
        self._watched = watched

    async def watch(self, command: WatchChanges) -> ChangeFeed:
        """Open and return a feed of all changes from now on.

        Raises:
            OperationFailed: one of its resources cannot be watched.
            ResourceNotFound: the caller may not read resources.
        """
        if command.filter.uris and not command.caller.may(RESOURCES_READ):
            raise ResourceNotFound(min(command.filter.uris), RESOURCES_READ)
        feed = ChangeFeed(self._events, command.filter, self._watched.release)
        try:
            await self._watched.hold(feed, command.account, command.filter.uris or ())
        except BaseException:
            feed.close()
            raise
        return feed
