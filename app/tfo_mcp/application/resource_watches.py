"""WatchedResources: reference-counts watched resources, so that each URI is watched once while anyone needs it.

A change that the watcher detects is published as `ResourceUpdated`, like updates that tools announce. Knows neither
files nor protocol.
"""

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress

from tfo_mcp.application.budgets import Budget
from tfo_mcp.application.fair_limiter import FairLimiter
from tfo_mcp.application.ports import EventBus, FileWatcher
from tfo_mcp.domain.errors import DomainError, OperationFailed
from tfo_mcp.domain.events import ResourceUpdated, SessionClosed

_MOST_OF_ONE = 1024


class WatchedResources:
    """Counts the holders of each URI: change feeds and sessions. A closed session releases its URIs."""

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
        """Start watching URIs for a holder, in addition to those it holds, and charge each to the account.

        Raises:
            OperationFailed: no more URIs can be watched, in total or for this holder.
            RateLimited: the account's share is used up.
        """
        wanted = set(uris)
        if not wanted:
            return
        async with self._watching.turn(account):
            for uri in wanted - self._held.get(holder, set()):
                if len(self._held.get(holder, ())) >= _MOST_OF_ONE:
                    raise OperationFailed(
                        f"The limit of {_MOST_OF_ONE} subscribed resources is reached: end other subscriptions"
                    )
                self._budget.require(account)
                if uri not in self._stops:
                    self._stops[uri] = await self._watcher.watch(uri, self._publisher(uri))
                self._budget.add(account)
                self._accounts[holder] = account
                self._counts[uri] = self._counts.get(uri, 0) + 1
                self._held.setdefault(holder, set()).add(uri)

    async def resume(self, holder: Hashable, account: str, uris: Iterable[str]) -> None:
        """Watch URIs that a holder held in another process, as far as they can be watched; once in this process."""
        if holder in self._held:
            return
        self._held[holder] = set()
        for uri in tuple(uris):
            with suppress(DomainError):
                await self.hold(holder, account, [uri])

    def release(self, holder: Hashable, uri: str | None = None) -> None:
        """Stop watching one URI for the holder, or all of its URIs if `uri` is None."""
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

    def _publisher(self, uri: str) -> Callable[[str], None]:
        return lambda version: self._events.publish(ResourceUpdated(uri, version))
