"""The peer registry: which peer serves which session or connection in this process. Knows no socket."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import anyio

from tfo_mcp.application.ports import EventBus
from tfo_mcp.domain.events import SessionClosed
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.peer_services import PeerServices

_RECENT_PEERS = 1024


class PeerRegistry:
    """Makes peers, finds them by their session, and passes on frames that another process received for them."""

    def __init__(self, services: PeerServices, events: EventBus) -> None:
        self._services = services
        self._by_session: WeakValueDictionary[SessionId, Peer] = WeakValueDictionary()
        self._recent: deque[Peer] = deque(maxlen=_RECENT_PEERS)  # keeps the peers of busy sessions alive
        self._attached: dict[Peer, Callable[[], object]] = {}
        self._unsubscribe = (
            events.subscribe([SessionClosed], self._session_closed),
            services.relay.subscribe(self._relayed),
        )

    def connect(self) -> Peer:
        """Return the peer of a client that has no session yet."""
        return Peer(self._services)

    def resume(self, session_id: str) -> Peer:
        """Return the peer of a session in this process; using it finds out whether the session exists."""
        identifier = SessionId(session_id)
        peer = self._by_session.get(identifier)
        if peer is None:
            peer = self._by_session[identifier] = Peer(self._services, identifier)
        self._recent.append(peer)
        return peer

    def register(self, peer: Peer) -> None:
        """Let `resume` find a peer that has just opened its session."""
        if peer.session_id is not None:
            self._by_session[peer.session_id] = peer

    @asynccontextmanager
    async def attached(self, on_closed: Callable[[], None], on_stopping: Callable[[], object]) -> AsyncIterator[Peer]:
        """Yield the peer of a connection; its session ends with the context."""
        peer = Peer(self._services, on_closed=on_closed)
        self._attached[peer] = on_stopping
        try:
            yield peer
        finally:
            del self._attached[peer]
            with anyio.CancelScope(shield=True):
                await peer.end()

    def attached_sessions(self) -> list[SessionId]:
        """Return the sessions that have a connection."""
        return [peer.session_id for peer in self._attached if peer.session_id is not None]

    def stop(self) -> None:
        """Call `on_stopping` of each connection."""
        for on_stopping in tuple(self._attached.values()):
            on_stopping()

    def close(self) -> None:
        """Unsubscribe from the buses."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def _session_closed(self, event: SessionClosed) -> None:
        peer = self._by_session.pop(event.session_id, None)
        if peer is not None:
            peer.cancel_all()

    def _relayed(self, session_id: SessionId, frame: bytes) -> None:
        peer = self._by_session.get(session_id)
        if peer is not None:
            peer.deliver(frame)
