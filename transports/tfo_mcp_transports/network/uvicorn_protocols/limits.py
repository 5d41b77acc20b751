"""Limits shared by all connections of one server.

Owns the connection table, the deadlines, and the count of the bytes of unfinished messages. A periodic sweep enforces
the deadlines (`Deadlines`). Knows no protocol.
"""

from collections.abc import Iterable

from tfo_mcp_transports.network.deadlines import Deadlines, sweep
from tfo_mcp_transports.network.uvicorn_protocols.connections import ConnectionTable

_HEAD_SECONDS = 5.0  # maximum time for the head of a request to arrive
_RESERVE_HEAD_SECONDS = 1.0  # the same, in the reserve
_IDLE_SECONDS = 5.0  # maximum time between two requests of a connection
_MESSAGE_SECONDS = 15.0  # maximum time for a body or a WebSocket message
_LOOK_SECONDS = 0.5  # between two checks of a connection
_STALLED_SECONDS = 10.0  # maximum time in which a client reads none of its pending output
_STALLED_AT_THE_END_SECONDS = 1.0  # the same, during shutdown
_LINGER_SECONDS = 2.0  # maximum time in which a client may still send after its response
_UNFINISHED_BYTES = 16 * 1024 * 1024  # of unfinished messages of one network
_ALL_UNFINISHED_BYTES = 256 * 1024 * 1024


class UnfinishedBytes:
    """Counts the bytes of messages that have not arrived completely, by network."""

    def __init__(self, per_network: int, total: int) -> None:
        self._per_network = per_network
        self._all = total
        self._total = 0
        self._by_network: dict[str, int] = {}

    def change(self, network: str, before: int, after: int, *, limited: bool) -> bool:
        """Count `after` bytes of a connection instead of `before`; return whether they fit."""
        self._total += after - before
        kept = self._by_network.get(network, 0) + after - before
        if kept > 0:
            self._by_network[network] = kept
        else:
            self._by_network.pop(network, None)
        return after <= before or (self._total <= self._all and (not limited or kept <= self._per_network))


class ConnectionLimits:
    """The limits of one server's connections.

    Args:
        max_connections: maximum number of connections.
        per_network: maximum number from one IPv4 address or IPv6 /64 prefix.
        max_message_bytes: the largest body or WebSocket message; one always fits.
        proxies: networks of trusted proxies, which stand for many clients.
        base_path: path prefix of the server, which paths of probes may have.
    """

    def __init__(
        self,
        max_connections: int,
        per_network: int,
        max_message_bytes: int,
        proxies: Iterable[str] = (),
        base_path: str = "",
    ) -> None:
        self.base_path = base_path
        self.table = ConnectionTable(max_connections, per_network, proxies)
        largest = 2 * max_message_bytes
        self.unfinished = UnfinishedBytes(max(_UNFINISHED_BYTES, largest), max(_ALL_UNFINISHED_BYTES, 2 * largest))
        self.heads = Deadlines(_HEAD_SECONDS)
        self.reserve_heads = Deadlines(_RESERVE_HEAD_SECONDS)
        self.messages = Deadlines(_MESSAGE_SECONDS)
        self.idle = Deadlines(_IDLE_SECONDS)
        self.looking = Deadlines(_LOOK_SECONDS)
        self.lingering = Deadlines(_LINGER_SECONDS)
        self.stalled_seconds = _STALLED_SECONDS
        self.ending = False
        """Whether each connection closes after its response."""

    def hurry(self) -> None:
        """Shorten the stall timeout, and close each connection after its response, during shutdown."""
        self.stalled_seconds = _STALLED_AT_THE_END_SECONDS
        self.ending = True

    async def keep(self) -> None:
        """Enforce the deadlines until cancelled."""
        await sweep(self.heads, self.reserve_heads, self.messages, self.idle, self.looking, self.lingering)
