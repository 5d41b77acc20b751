"""Server: what transports hold of the application.

Makes peers for connections and sessions, and ends them with their sessions. Knows no socket; `tfo_mcp.bootstrap` builds
it.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from weakref import WeakValueDictionary

import anyio
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from tfo_mcp.application.budgets import SMALL_BYTES, Budget, ClientBudgets
from tfo_mcp.application.commands import Authenticate, CloseSession, ReapSessions
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.queries import CheckCredentials, GetHealth, GetReadiness
from tfo_mcp.application.session_use import SessionUse
from tfo_mcp.domain.access import OWNER, READING, SCOPES, Caller
from tfo_mcp.domain.accounts import network_of
from tfo_mcp.domain.errors import DomainError, SessionNotFound
from tfo_mcp.domain.events import SessionClosed
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.presentation.protocol.call import Facts
from tfo_mcp.presentation.protocol.faults import fault_of
from tfo_mcp.presentation.protocol.revisions import LATEST_STATELESS, REVISIONS
from tfo_mcp.presentation.streams import Streams

__all__ = [
    "OWNER",
    "SMALL_BYTES",
    "Budget",
    "Caller",
    "Server",
    "network_of",
    "request_headers",
    "request_metadata",
    "scope_names",
    "supported_versions",
]

_HOUSEKEEPING_SECONDS = 0.5
_END_CALLS_SECONDS = 0.05
_RECENT_PEERS = 1024


def supported_versions() -> list[str]:
    """Return the protocol revisions that are served, oldest first."""
    return list(REVISIONS)


def scope_names(*, reading: bool = False) -> list[str]:
    """Return the names of the scopes that callers can have, or of those for reading."""
    return [name for name in SCOPES if not reading or name in READING]


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


def _nothing_to_release() -> None:
    return None


async def _cannot_reload() -> Sequence[str]:
    return ("this server was not started from settings that could be read anew",)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What keeping a server takes: limits in seconds, how its settings are read anew, and what is closed at its end.

    `exposition` gives the metrics for Prometheus, if they are shown. `release_memory` is called in a thread.
    """

    session_idle_seconds: float
    drain_seconds: float
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    exposition: Callable[[], bytes] | None = None
    release_memory: Callable[[], None] = _nothing_to_release
    reload: Callable[[], Awaitable[Sequence[str]]] = _cannot_reload


class Server:
    """The running application as its transports see it."""

    def __init__(
        self,
        services: PeerServices,
        streams: Streams,
        events: EventBus,
        lifecycle: Lifecycle,
        upkeep: Upkeep,
        budgets: ClientBudgets,
        session_use: SessionUse,
    ) -> None:
        self._services = services
        self._budgets = budgets
        self._session_use = session_use
        self._lifecycle = lifecycle
        self._upkeep = upkeep
        self._touch_seconds = upkeep.session_idle_seconds / 4
        self._housekeeping_seconds = min(_HOUSEKEEPING_SECONDS, self._touch_seconds)
        self.streams = streams
        self._peers: WeakValueDictionary[SessionId, Peer] = WeakValueDictionary()
        self._recent: deque[Peer] = deque(maxlen=_RECENT_PEERS)  # keeps busy sessions' peers from being made anew
        self._attached: dict[Peer, Callable[[], object]] = {}
        self._stopped_at: float | None = None
        self._registered: dict[Callable[[], object], Caller] = {}
        self._unsubscribe = (
            events.subscribe([SessionClosed], self._session_closed),
            services.relay.subscribe(self._relayed),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep house until the context is left; nothing can be served afterwards."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_house)
            tasks.start_soon(self._end_calls)
            self._lifecycle.start()
            yield
            self.stop()
            tasks.cancel_scope.cancel()
        await self.close()

    @property
    def stopping(self) -> anyio.Event:
        """Set when the server begins to stop: what lasts comes to its end."""
        return self._lifecycle.stopping

    @property
    def lasting(self) -> int:
        """How many connections and streams stand open."""
        return len(self._registered)

    @property
    def drain_seconds(self) -> float:
        """How long calls may run on when the server stops."""
        return self._upkeep.drain_seconds

    @property
    def drain_left(self) -> float:
        """Seconds that calls may still run on; all of them until the server stops."""
        if self._stopped_at is None:
            return self.drain_seconds
        return max(0.0, self._stopped_at + self.drain_seconds - monotonic())

    def connect(self) -> Peer:
        """Return the peer of a client that is nobody yet."""
        return Peer(self._services)

    async def authenticate(
        self, credential: str | None, transport: str, address: str | None, *, is_forwarded: bool = False
    ) -> Caller:
        """Return who calls, by what was shown; `is_forwarded` says that it came through a proxy without credentials.

        Raises:
            Fault: nobody who may, or the address has shown wrong credentials too often.
        """
        try:
            command = Authenticate(credential, transport, address, is_forwarded)
            return await self._services.bus.handle(command)
        except DomainError as problem:
            raise fault_of(problem) from None

    @property
    def request_bytes(self) -> Budget:
        """The bytes of requests that each client may have on their way at once."""
        return self._budgets.request_bytes

    def take_stream(self, facts: Facts) -> Callable[[], None]:
        """Charge a stream or a connection that stands to the client; return what gives it back.

        Raises:
            Fault: the client has too many.
        """
        account, streams = facts.account, self._budgets.streams
        try:
            streams.take(account)
        except DomainError as problem:
            raise fault_of(problem) from None
        return partial(streams.give_back, account)

    def using(self, session_id: SessionId) -> AbstractContextManager[None]:
        """Return a context for as long as a stream of the session is read: the session is not idle."""
        return self._session_use.held(session_id)

    @contextmanager
    def registered(self, caller: Caller, on_revoked: Callable[[], object]) -> Iterator[None]:
        """Call `on_revoked` when the caller's key or token is no longer good, until the context is left."""
        self._registered[on_revoked] = caller
        try:
            yield
        finally:
            self._registered.pop(on_revoked, None)

    @asynccontextmanager
    async def attached(self, on_closed: Callable[[], None], on_stopping: Callable[[], object]) -> AsyncIterator[Peer]:
        """Yield the peer of a connection that stands for its session: while it lasts the session is not idle.

        Args:
            on_closed: called when the client ends the session by `shutdown`.
            on_stopping: called when the server begins to stop; may come from a signal handler.
        """
        peer = Peer(self._services, on_closed=on_closed)
        self._attached[peer] = on_stopping
        if self.stopping.is_set():
            on_stopping()
        try:
            yield peer
        finally:
            del self._attached[peer]
            with anyio.CancelScope(shield=True):
                await peer.end()

    def resume(self, session_id: str) -> Peer:
        """Return this process's peer of a session; whether the session lives is found out by using it."""
        identifier = SessionId(session_id)
        peer = self._peers.get(identifier)
        if peer is None:
            peer = self._peers[identifier] = Peer(self._services, identifier)
        self._recent.append(peer)
        return peer

    def adopt(self, peer: Peer) -> None:
        """Let `resume` find a peer that has just opened its session."""
        if peer.session_id is not None:
            self._peers[peer.session_id] = peer

    async def touch(self, session_id: SessionId) -> None:
        """Say that a session is in use, although no request says so; one that has ended is no error."""
        with suppress(SessionNotFound):
            await self._services.handshake.session(session_id)

    async def close_session(self, session_id: SessionId) -> None:
        """End a session and all that runs for it."""
        await self._services.bus.handle(CloseSession(session_id))

    async def health(self) -> Mapping[str, object]:
        """Return how the server is, as plain values."""
        health = await self._services.bus.handle(GetHealth())
        return {name: getattr(health, name) for name in health.__slots__}

    async def drained(self) -> None:
        """Wait until no call runs, but for those that last until the server stops."""
        await self._services.in_flight.idle()

    async def readiness(self) -> Mapping[str, object]:
        """Return whether requests can be served, as plain values: `status`, and what is `failing`."""
        readiness = await self._services.bus.handle(GetReadiness())
        return {"status": readiness.status, "failing": readiness.failing}

    def metrics(self) -> bytes | None:
        """Return the metrics in the text format of Prometheus, None where they are not shown."""
        return None if self._upkeep.exposition is None else self._upkeep.exposition()

    async def reload(self) -> Sequence[str]:
        """Read the settings anew; return what is in the way of it, in which case nothing has changed."""
        return await self._upkeep.reload()

    def stop(self) -> None:
        """Begin the end: subscriptions finish with their result, streams and connections close."""
        if self._stopped_at is None:
            self._stopped_at = monotonic()
        self.stopping.set()
        for on_stopping in tuple(self._attached.values()):
            on_stopping()

    async def _keep_house(self) -> None:
        """Stop calls that are overdue, and end idle sessions, again and again, until cancelled."""
        touched = monotonic()
        while True:
            await anyio.sleep(self._housekeeping_seconds)
            self._lifecycle.look()
            self._services.in_flight.stop_overdue()
            if monotonic() - touched >= self._touch_seconds:
                touched = monotonic()
                for peer in tuple(self._attached):
                    if peer.session_id is not None:
                        await self.touch(peer.session_id)
            await self._services.bus.handle(ReapSessions())
            await self._end_what_is_revoked()
            await anyio.to_thread.run_sync(self._upkeep.release_memory)

    async def _end_calls(self) -> None:
        """Stop the calls that still run when the time for them is over, until cancelled."""
        await self.stopping.wait()
        while True:
            await anyio.sleep(max(self.drain_left, _END_CALLS_SECONDS))
            if not self.drain_left:
                self._services.in_flight.stop_all()

    async def _end_what_is_revoked(self) -> None:
        """End calls and connections of callers whose credentials are no longer good."""
        for caller in {*self._registered.values(), *self._services.in_flight.callers()}:
            if not await self._services.bus.handle(CheckCredentials(caller)):
                self._services.in_flight.stop_of(caller)
                for on_revoked in [act for act, registered in self._registered.items() if registered == caller]:
                    del self._registered[on_revoked]
                    on_revoked()

    async def close(self) -> None:
        """Let go of the buses and of what the adapters hold; nothing can be served afterwards."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for closer in self._upkeep.closers:
            await closer()

    def _session_closed(self, event: SessionClosed) -> None:
        peer = self._peers.pop(event.session_id, None)
        if peer is not None:
            peer.cancel_all()

    def _relayed(self, session_id: SessionId, frame: bytes) -> None:
        peer = self._peers.get(session_id)
        if peer is not None:
            peer.deliver(frame)
