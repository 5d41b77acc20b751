"""WatchedResources: who wants to hear of which resource, so that each is watched once, as long as anybody does.

What the watcher sees becomes an event, as what a tool announces does. Knows neither files nor wire.
"""

from collections.abc import Callable, Hashable, Iterable

from tfo_mcp.application.budgets import Budget
from tfo_mcp.application.fair_limiter import FairLimiter
from tfo_mcp.application.ports import EventBus, FileWatcher
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.events import ResourceUpdated, SessionClosed

_MOST_OF_ONE = 1024


class WatchedResources:
    """Counts holders of URIs: feeds of changes, and sessions, which let go when they are closed, wherever that is."""

    def __init__(self, watcher: FileWatcher, events: EventBus, budget: Budget) -> None:
        self._budget = budget
        self._accounts: dict[Hashable, str] = {}
        self._watcher = watcher
        self._events = events
        self._stops: dict[str, Callable[[], None]] = {}
        self._counts: dict[str, int] = {}
        self._held: dict[Hashable, set[str]] = {}
        self._watching = FairLimiter(1, 1)  # the same resource is not to be watched twice
        events.subscribe([SessionClosed], lambda closed: self.release(closed.session_id))

    async def hold(self, holder: Hashable, account: str, uris: Iterable[str]) -> None:
        """Watch these for the holder, from now on, beside what it holds already, each charged to the account.

        Raises:
            OperationFailed: no more can be watched, at all or for this holder.
            RateLimited: the account's share is used up.
        """
        wanted = set(uris)
        if not wanted:
            return
        async with self._watching.turn(account):
            for uri in wanted - self._held.get(holder, set()):
                if len(self._held.get(holder, ())) >= _MOST_OF_ONE:
                    raise OperationFailed(
                        f"{_MOST_OF_ONE} resources are subscribed to already: end other subscriptions"
                    )
                self._budget.require(account)
                if uri not in self._stops:
                    self._stops[uri] = await self._watcher.watch(uri, self._publisher(uri))
                self._budget.add(account)
                self._accounts[holder] = account
                self._counts[uri] = self._counts.get(uri, 0) + 1
                self._held.setdefault(holder, set()).add(uri)

    def release(self, holder: Hashable, uri: str | None = None) -> None:
        """Watch one URI for the holder no longer, or any."""
        held = self._held.get(holder, set())
        for released in tuple(held) if uri is None else held & {uri}:
            held.remove(released)
            self._budget.give_back(self._accounts[holder])
            self._counts[released] -= 1
            if self._counts[released] == 0:
                del self._counts[released]
                self._stops.pop(released)()
        if not held:
            self._held.pop(holder, None)
            self._accounts.pop(holder, None)

    def _publisher(self, uri: str) -> Callable[[], None]:
        return lambda: self._events.publish(ResourceUpdated(uri))
