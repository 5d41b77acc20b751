"""Connection limits: in total, for each network, and a reserve beyond them.

Before a new connection is refused, the oldest idle one is closed. Beyond the limits, the reserve accepts a few
connections for health probes and for callers that authenticate, so that a client that holds connections cannot lock
them out (docs/adr/0017). Knows addresses and counts; the protocols handle the bytes.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from tfo_mcp.presentation.server import network_of

RESERVE = 64
"""Maximum number of reserve connections whose request is awaited or served."""
RESERVE_CALLERS = 32
"""Maximum number of further reserve connections, of authenticated callers."""
LEAVING = 64
"""Maximum number of connections outside of the limits that are about to close and flush their response."""
EXTRA_CONNECTIONS = RESERVE + RESERVE_CALLERS + LEAVING
_LOOKED_AT = 8  # idle connections that are checked for unread input before one is closed


class Standing(Enum):
    """The category that a connection is counted in."""

    REGULAR = "within the limits"
    RESERVE = "in the reserve"
    CALLER = "in the reserve, authenticated"
    LEAVING = "from the reserve, answered or given up"
    REFUSED = "not accepted"


class TableEntry(Protocol):
    """A connection as the table sees it."""

    address: str | None
    place: "TablePlace"

    def has_input(self) -> bool:
        """Return whether received bytes are unread."""

    def close(self) -> None:
        """Close the connection after the pending output is flushed."""

    def abort(self) -> None:
        """Close the connection at once."""


class _Network:
    """The regular connections of one network."""

    __slots__ = ("count", "idle", "limited", "name")

    def __init__(self, name: str, *, limited: bool) -> None:
        self.name = name
        self.limited = limited
        self.count = 0
        self.idle: dict[TableEntry, None] = {}


class TablePlace:
    """The network and the category that a connection is counted in."""

    __slots__ = ("network", "standing", "was_asked")

    def __init__(self, network: _Network, standing: Standing) -> None:
        self.network = network
        self.standing = standing
        self.was_asked = False
        """Whether a reserve connection has received the head of a request."""


class ConnectionTable:
    """Counts the connections of each network.

    Args:
        limit: maximum number of connections.
        per_network: maximum number for one network.
        proxies: networks of trusted proxies; their connections serve many clients and count toward `limit` only.
    """

    def __init__(self, limit: int, per_network: int, proxies: Iterable[str] = ()) -> None:
        self.limit = limit
        self.per_network = per_network
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(proxy) for proxy in proxies]
        self._networks: dict[str, _Network] = {}
        self._total = 0
        self._reserve: dict[TableEntry, None] = {}
        self._callers: dict[TableEntry, None] = {}
        self._leaving: dict[TableEntry, None] = {}

    def enter(self, entry: TableEntry) -> Standing:
        """Count a new connection, and return its category."""
        network = self._network(entry.address)
        entry.place = TablePlace(network, Standing.REFUSED)
        if self._make_room(network):
            self._count_regular(entry)
            network.idle[entry] = None
        elif len(self._reserve) < RESERVE or self._drop_from_reserve():
            entry.place.standing = Standing.RESERVE
            self._reserve[entry] = None
        else:
            self._leave_soon(entry)
        return entry.place.standing

    def busy(self, entry: TableEntry) -> None:
        """Record that a request has begun to arrive."""
        entry.place.network.idle.pop(entry, None)

    def idle(self, entry: TableEntry) -> None:
        """Record that no request is arriving or running."""
        if entry.place.standing is Standing.REGULAR:
            entry.place.network.idle[entry] = None

    def authenticated(self, entry: TableEntry) -> bool:
        """Record that the caller on a connection has authenticated; return whether its request may proceed."""
        if entry.place.standing is not Standing.RESERVE:
            return True
        if len(self._callers) >= RESERVE_CALLERS:
            return False
        del self._reserve[entry]
        self._callers[entry] = None
        entry.place.standing = Standing.CALLER
        return True

    def answered(self, entry: TableEntry) -> None:
        """Record that the connection is about to close, and free its place in the reserve at once."""
        if entry.place.standing in (Standing.RESERVE, Standing.CALLER):
            self._uncount(entry)
            self._leave_soon(entry)

    def leave(self, entry: TableEntry) -> None:
        """Stop counting a connection that has ended."""
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
        """Return whether one more regular connection fits; close an idle one if necessary."""
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

    def _count_regular(self, entry: TableEntry) -> None:
        network = entry.place.network
        self._networks[network.name] = network
        network.count += 1
        self._total += 1
        entry.place.standing = Standing.REGULAR

    def _uncount(self, entry: TableEntry) -> None:
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

    def _leave_soon(self, entry: TableEntry) -> None:
        """Let a connection flush its response; abort the oldest such connection when there are too many."""
        entry.place.standing = Standing.LEAVING
        self._leaving[entry] = None
        if len(self._leaving) > LEAVING:
            oldest = next(iter(self._leaving))
            self._uncount(oldest)
            oldest.place.standing = Standing.REFUSED
            oldest.abort()

    def _drop_from_reserve(self) -> bool:
        """Abort a reserve connection without a request, of the network with the most; return whether there was one."""
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
        """Move authenticated callers from the reserve into the regular limits, as far as these have room."""
        for entry in tuple(self._callers):
            network = self._networks.get(entry.place.network.name, entry.place.network)
            if self._total >= self.limit or (network.limited and network.count >= self.per_network):
                return
            del self._callers[entry]
            entry.place.network = network
            self._count_regular(entry)


def _first_silent(entries: Collection[TableEntry]) -> TableEntry | None:
    """Return the first connection without unread input; one whose request is unread is not idle."""
    looked_at: Iterator[TableEntry] = iter(entries)
    for _ in range(min(len(entries), _LOOKED_AT)):
        entry = next(looked_at)
        if not entry.has_input():
            return entry
    return None
