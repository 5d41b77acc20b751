"""Connections: how many a network may have open, which one is closed when a limit is reached, and a reserve beyond it.

A connection without a request is closed, the oldest first, before a new one is refused. Beyond the limits a few
connections are accepted into the reserve, for health probes and for callers that authenticate, so that no client that
holds connections can lock them out (docs/adr/0017). Knows addresses and counts; bytes are the protocols' affair.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from tfo_mcp.presentation.server import network_of

RESERVE = 64
"""Connections beyond the limits whose request is awaited or served."""
RESERVE_CALLERS = 32
"""Further ones of callers that have authenticated."""
LEAVING = 64
"""Further ones of the reserve that only wait for their client to take the answer."""
EXTRA_CONNECTIONS = RESERVE + RESERVE_CALLERS + LEAVING
_LOOKED_AT = 8  # idle connections, when one is to be closed


class Standing(Enum):
    """What a connection counts as."""

    REGULAR = "within the limits"
    RESERVE = "in the reserve"
    CALLER = "in the reserve, authenticated"
    LEAVING = "from the reserve, answered or given up"
    REFUSED = "not accepted"


class Entry(Protocol):
    """A connection as the table sees it."""

    address: str | None
    place: "Place"

    def has_input(self) -> bool:
        """Return whether bytes have arrived that were not read yet."""

    def close(self) -> None:
        """End the connection after what was written."""

    def abort(self) -> None:
        """End the connection at once."""


class _Network:
    """The regular connections of one network."""

    __slots__ = ("count", "idle", "limited", "name")

    def __init__(self, name: str, *, limited: bool) -> None:
        self.name = name
        self.limited = limited
        self.count = 0
        self.idle: dict[Entry, None] = {}


class Place:
    """Where a connection is counted."""

    __slots__ = ("network", "standing", "was_asked")

    def __init__(self, network: _Network, standing: Standing) -> None:
        self.network = network
        self.standing = standing
        self.was_asked = False
        """Whether the head of a request has arrived, in the reserve."""


class ConnectionTable:
    """Counts the connections of each network.

    Args:
        limit: maximum number of connections.
        per_network: maximum number for one network.
        proxies: networks whose connections stand for many clients, and count toward `limit` only.
    """

    def __init__(self, limit: int, per_network: int, proxies: Iterable[str] = ()) -> None:
        self.limit = limit
        self.per_network = per_network
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(proxy) for proxy in proxies]
        self._networks: dict[str, _Network] = {}
        self._total = 0
        self._reserve: dict[Entry, None] = {}
        self._callers: dict[Entry, None] = {}
        self._leaving: dict[Entry, None] = {}

    def enter(self, entry: Entry) -> Standing:
        """Count a new connection, and return what it counts as."""
        network = self._network(entry.address)
        entry.place = Place(network, Standing.REFUSED)
        if self._make_room(network):
            self._count_regular(entry)
            network.idle[entry] = None
        elif len(self._reserve) < RESERVE or self._drop_from_reserve():
            entry.place.standing = Standing.RESERVE
            self._reserve[entry] = None
        else:
            self._leave_soon(entry)
        return entry.place.standing

    def busy(self, entry: Entry) -> None:
        """A request has begun to arrive."""
        entry.place.network.idle.pop(entry, None)

    def idle(self, entry: Entry) -> None:
        """No request is arriving or running."""
        if entry.place.standing is Standing.REGULAR:
            entry.place.network.idle[entry] = None

    def authenticated(self, entry: Entry) -> bool:
        """The caller of a request in the reserve has authenticated; return whether it may go on."""
        if entry.place.standing is not Standing.RESERVE:
            return True
        if len(self._callers) >= RESERVE_CALLERS:
            return False
        del self._reserve[entry]
        self._callers[entry] = None
        entry.place.standing = Standing.CALLER
        return True

    def answered(self, entry: Entry) -> None:
        """The connection is about to end: a place in the reserve is free at once."""
        if entry.place.standing in (Standing.RESERVE, Standing.CALLER):
            self._uncount(entry)
            self._leave_soon(entry)

    def leave(self, entry: Entry) -> None:
        """The connection has ended."""
        self._uncount(entry)
        entry.place.standing = Standing.REFUSED
        self._promote()

    def _network(self, address: str | None) -> _Network:
        name = network_of(address)
        network = self._networks.get(name)
        return network or _Network(name, limited=not self._is_proxy(address))

    def _is_proxy(self, address: str | None) -> bool:
        try:
            found = ip_address(address or "")
        except ValueError:
            return False
        return any(found in proxy for proxy in self._proxies)

    def _make_room(self, network: _Network) -> bool:
        """Return whether one more regular connection fits, after an idle one was closed if need be."""
        if network.limited and network.count >= self.per_network and not self._close_idle(network):
            return False
        if self._total < self.limit:
            return True
        largest = max(
            (other for other in self._networks.values() if other.idle and other.limited),
            key=lambda other: other.count,
            default=None,
        )
        return largest is not None and self._close_idle(largest)

    def _close_idle(self, network: _Network) -> bool:
        """Close the oldest idle connection of a network, if it has one."""
        victim = _first_silent(network.idle)
        if victim is None:
            return False
        self._uncount(victim)
        self._leave_soon(victim)
        victim.close()
        return True

    def _count_regular(self, entry: Entry) -> None:
        network = entry.place.network
        self._networks[network.name] = network
        network.count += 1
        self._total += 1
        entry.place.standing = Standing.REGULAR

    def _uncount(self, entry: Entry) -> None:
        network = entry.place.network
        match entry.place.standing:
            case Standing.REGULAR:
                network.idle.pop(entry, None)
                network.count -= 1
                self._total -= 1
                if not network.count:
                    self._networks.pop(network.name, None)
            case Standing.RESERVE:
                self._reserve.pop(entry, None)
            case Standing.CALLER:
                self._callers.pop(entry, None)
            case Standing.LEAVING:
                self._leaving.pop(entry, None)

    def _leave_soon(self, entry: Entry) -> None:
        """Let a connection take its answer; of too many the oldest is given up."""
        entry.place.standing = Standing.LEAVING
        self._leaving[entry] = None
        if len(self._leaving) > LEAVING:
            oldest = next(iter(self._leaving))
            self._uncount(oldest)
            oldest.place.standing = Standing.REFUSED
            oldest.abort()

    def _drop_from_reserve(self) -> bool:
        """Give up a connection of the reserve that has not asked for anything, of the network with the most."""
        waiting = [entry for entry in self._reserve if not entry.place.was_asked]
        if not waiting:
            return False
        counts = Counter(entry.place.network.name for entry in waiting)
        name = max(counts, key=lambda each: counts[each])
        own = [entry for entry in waiting if entry.place.network.name == name]
        victim = next((entry for entry in own if not entry.has_input()), own[0])
        self._uncount(victim)
        victim.place.standing = Standing.REFUSED
        victim.abort()
        return True

    def _promote(self) -> None:
        """Count authenticated callers of the reserve as regular as soon as they fit."""
        for entry in tuple(self._callers):
            network = self._networks.get(entry.place.network.name, entry.place.network)
            if self._total >= self.limit or (network.limited and network.count >= self.per_network):
                return
            del self._callers[entry]
            entry.place.network = network
            self._count_regular(entry)


def _first_silent(entries: Collection[Entry]) -> Entry | None:
    """Return the first connection on which nothing has arrived; one whose request is unread is not idle."""
    looked_at: Iterator[Entry] = iter(entries)
    for _ in range(min(len(entries), _LOOKED_AT)):
        entry = next(looked_at)
        if not entry.has_input():
            return entry
    return None
