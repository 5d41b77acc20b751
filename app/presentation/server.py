"""Server: what transports hold of the application.

Makes peers for connections and sessions, and ends them with their sessions. Knows no socket; `app.bootstrap` builds it.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from weakref import WeakValueDictionary

import anyio
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from app.application.commands import CloseSession, ReapSessions
from app.application.ports import EventBus
from app.application.queries import GetHealth
from app.domain.errors import SessionNotFound
from app.domain.events import SessionClosed
from app.domain.ids import SessionId
from app.presentation.peer import Conversations, Peer
from app.presentation.protocol.revisions import LATEST_STATELESS, REVISIONS
from app.presentation.streams import Streams

_HOUSEKEEPING_SECONDS = 0.5
_RECENT_PEERS = 1024
_GRACE_SECONDS = 5.0  # so long a call may run on when the server stops


def supported_versions() -> list[str]:
    """Return the protocol revisions that are served, oldest first."""
    return list(REVISIONS)


def request_metadata(client_name: str, client_version: str) -> dict[str, object]:
    """Return the `_meta` of a request of the latest revision from a client without capabilities."""
    return {
        PROTOCOL_VERSION_META_KEY: LATEST_STATELESS.version,
        CLIENT_INFO_META_KEY: {"name": client_name, "version": client_version},
        CLIENT_CAPABILITIES_META_KEY: {},
    }


def request_headers(method: str, name: str | None) -> dict[str, str]:
    """Return the HTTP headers that go with such a request."""
    headers = {"MCP-Protocol-Version": LATEST_STATELESS.version, "Mcp-Method": method}
    return headers if name is None else {**headers, "Mcp-Name": name}


class Server:
    """The running application as its transports see it."""

    def __init__(
        self,
        conversations: Conversations,
        streams: Streams,
        events: EventBus,
        stopping: anyio.Event,
        closers: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._conversations = conversations
        self.stopping = stopping
        """Set when the server begins to stop: what lasts comes to its end."""
        self.streams = streams
        self._peers: WeakValueDictionary[SessionId, Peer] = WeakValueDictionary()
        self._recent: deque[Peer] = deque(maxlen=_RECENT_PEERS)  # keeps busy sessions' peers from being made anew
        self._closers = closers
        self._unsubscribe = (
            events.subscribe([SessionClosed], self._session_closed),
            conversations.relay.subscribe(self._relayed),
        )

    def connect(self, on_closed: Callable[[], None] | None = None) -> Peer:
        """Return the peer of a new connection; `on_closed` is called when its client ends the session by `shutdown`."""
        return Peer(self._conversations, on_closed=on_closed)

    def resume(self, session_id: str) -> Peer:
        """Return this process's peer of a session; whether the session lives is found out by using it."""
        identifier = SessionId(session_id)
        peer = self._peers.get(identifier)
        if peer is None:
            peer = self._peers[identifier] = Peer(self._conversations, identifier)
        self._recent.append(peer)
        return peer

    def adopt(self, peer: Peer) -> None:
        """Let `resume` find a peer that has just opened its session."""
        if peer.session_id is not None:
            self._peers[peer.session_id] = peer

    async def touch(self, session_id: SessionId) -> None:
        """Say that a session is in use, although no request says so; one that has ended is no error."""
        with suppress(SessionNotFound):
            await self._conversations.handshake.session(session_id)

    async def close_session(self, session_id: SessionId) -> None:
        """End a session and all that runs for it."""
        await self._conversations.bus.handle(CloseSession(session_id))

    async def health(self) -> Mapping[str, object]:
        """Return how the server is, as plain values."""
        health = await self._conversations.bus.handle(GetHealth())
        return {name: getattr(health, name) for name in health.__slots__}

    async def keep_house(self) -> None:
        """Stop calls that are overdue or hinder the end, and end idle sessions, again and again, until cancelled."""
        stopping_since: float | None = None
        while True:
            await anyio.sleep(_HOUSEKEEPING_SECONDS)
            if self.stopping.is_set():
                stopping_since = stopping_since or monotonic()
                if monotonic() - stopping_since > _GRACE_SECONDS:
                    self._conversations.in_flight.stop_all()
            self._conversations.in_flight.stop_overdue()
            await self._conversations.bus.handle(ReapSessions())

    def stop(self) -> None:
        """Begin the end: subscriptions finish with their result, streams close."""
        self.stopping.set()

    async def close(self) -> None:
        """Let go of the buses and of what the adapters hold; nothing can be served afterwards."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for closer in self._closers:
            await closer()

    def _session_closed(self, event: SessionClosed) -> None:
        peer = self._peers.pop(event.session_id, None)
        if peer is not None:
            peer.cancel_all()

    def _relayed(self, session_id: SessionId, frame: bytes) -> None:
        peer = self._peers.get(session_id)
        if peer is not None:
            peer.deliver(frame)
