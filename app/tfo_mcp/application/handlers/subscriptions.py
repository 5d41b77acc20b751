"""SubscriptionHandler: opens the change feeds that clients subscribe to."""

from collections.abc import Callable

from tfo_mcp.application.changes import ChangeFeed
from tfo_mcp.application.commands import WatchChanges
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.domain.access import Caller


class SubscriptionHandler:
    """Opens change feeds on the event bus, and starts watching the resources that they name.

    Args:
        events: the event bus.
        watched: watches resources.
        require_scopes: raises ResourceNotFound if a caller may not read what is at a URI.
    """

    def __init__(
        self, events: EventBus, watched: WatchedResources, require_scopes: Callable[[str, Caller], None]
    ) -> None:
        self._events = events
        self._watched = watched
        self._require_scopes = require_scopes

    async def watch(self, command: WatchChanges) -> ChangeFeed:
        """Open and return a feed of all changes from now on.

        Raises:
            OperationFailed: one of its resources cannot be watched.
            ResourceNotFound: the caller may not read one of them.
        """
        for uri in sorted(command.filter.uris or ()):
            self._require_scopes(uri, command.caller)
        feed = ChangeFeed(self._events, command.filter, self._watched.release)
        try:
            await self._watched.hold(feed, command.account, command.filter.uris or ())
        except BaseException:
            feed.close()
            raise
        return feed
