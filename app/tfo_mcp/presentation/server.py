"""Server: the interface of the application that transports use.

Creates peers for connections and sessions, authenticates callers, runs periodic housekeeping and controls shutdown.
Knows no socket. `tfo_mcp.bootstrap` builds it.
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
    """Return the supported protocol revisions, oldest first."""
    return list(REVISIONS)


def scope_names(*, reading: bool = False) -> list[str]:
    """Return the names of all scopes, or only of the read-only ones if `reading` is true."""
    return [name for name in SCOPES if not reading or name in READING]


def request_metadata(client_name: str, client_version: str) -> dict[str, object]:
    """Return the `_meta` of a client's request in the latest revision, without client capabilities."""
    return {
        PROTOCOL_VERSION_META_KEY: LATEST_STATELESS.version,
        CLIENT_INFO_META_KEY: {"name": client_name, "version": client_version},
        CLIENT_CAPABILITIES_META_KEY: {},
    }


def request_headers(method: str, name: str | None) -> dict[str, str]:
    """Return the HTTP headers of a client's request in the latest revision; `name` is the tool, prompt or URI."""
    headers = {"MCP-Protocol-Version": LATEST_STATELESS.version, "Mcp-Method": method}
    return headers if name is None else {**headers, "Mcp-Name": name}


def _nothing_to_release() -> None:
    return None


async def _cannot_reload() -> Sequence[str]:
    return ("this server was not started from settings that can be reloaded",)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Parameters and callbacks for housekeeping, reload and shutdown.

    `session_idle_seconds` is the idle timeout of sessions; `drain_seconds` the time that calls may take to finish on
    shutdown. `closers` run last on shutdown. `exposition` returns the Prometheus metrics, None if they are disabled.
    `release_memory` is called in a thread. `reload` reloads the settings and returns the problems, if any.
    """

    session_idle_seconds: float
    drain_seconds: float
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    exposition: Callable[[], bytes] | None = None
    release_memory: Callable[[], None] = _nothing_to_release
    reload: Callable[[], Awaitable[Sequence[str]]] = _cannot_reload


class Server:
    """Facade of the running application for the transports."""

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
        self._recent: deque[Peer] = deque(maxlen=_RECENT_PEERS)  # strong references: peers of busy sessions stay
        self._attached: dict[Peer, Callable[[], object]] = {}
        self._stopped_at: float | None = None
        self._admitted: dict[Callable[[], object], Caller] = {}
        self._unsubscribe = (
            events.subscribe([SessionClosed], self._session_closed),
            services.relay.subscribe(self._relayed),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run housekeeping until the context exits, then stop and close; the server cannot be used afterwards."""
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
        """Set when the server begins to stop; long-lived calls and streams then end."""
        return self._lifecycle.stopping

    @property
    def lasting(self) -> int:
        """Number of open long-lived connections and streams."""
        return len(self._admitted)

    @property
    def drain_seconds(self) -> float:
        """Seconds that calls in flight may take to finish during shutdown."""
        return self._upkeep.drain_seconds

    @property
    def drain_left(self) -> float:
        """Remaining seconds of the drain period; the full period before the server stops."""
        if self._stopped_at is None:
            return self.drain_seconds
        return max(0.0, self._stopped_at + self.drain_seconds - monotonic())

    def connect(self) -> Peer:
        """Return a new peer without a session."""
        return Peer(self._services)

    async def authenticate(
        self, credential: str | None, transport: str, address: str | None, *, is_forwarded: bool = False
    ) -> Caller:
        """Authenticate a request and return its caller.

        Args:
            credential: API key or token, None if the request has none.
            transport: name of the transport.
            address: client address, None if the transport has none.
            is_forwarded: whether a proxy forwarded the request, which can make credentials mandatory.

        Raises:
            Fault: the caller is not authorized, or the address has failed to authenticate too often.
        """
        try:
            command = Authenticate(credential, transport, address, is_forwarded)
            return await self._services.bus.handle(command)
        except DomainError as problem:
            raise fault_of(problem) from None

    @property
    def request_bytes(self) -> Budget:
        """The budget of request bytes that each client may have in flight."""
        return self._budgets.request_bytes

    def take_stream(self, facts: Facts) -> Callable[[], None]:
        """Charge a stream or long-lived connection to the client; return a callable that releases it.

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
        """Return a context manager that keeps the session from becoming idle while one of its streams is read."""
        return self._session_use.held(session_id)

    @contextmanager
    def admitted(self, caller: Caller, on_revoked: Callable[[], object]) -> Iterator[None]:
        """Register a connection or stream; call `on_revoked` if the caller's credentials become invalid meanwhile."""
        self._admitted[on_revoked] = caller
        try:
            yield
        finally:
            self._admitted.pop(on_revoked, None)

    @asynccontextmanager
    async def attached(self, on_closed: Callable[[], None], on_stopping: Callable[[], object]) -> AsyncIterator[Peer]:
        """Yield the peer of a connection that owns its session. The session stays alive as long as the connection.

        Args:
            on_closed: called when the client ends the session with `shutdown`.
            on_stopping: called when the server begins to stop, possibly from a signal handler.
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
        """Return this process's peer for a session id; using it fails if the session does not exist."""
        identifier = SessionId(session_id)
        peer = self._peers.get(identifier)
        if peer is None:
            peer = self._peers[identifier] = Peer(self._services, identifier)
        self._recent.append(peer)
        return peer

    def adopt(self, peer: Peer) -> None:
        """Register a peer that has just opened its session, so that `resume` finds it."""
        if peer.session_id is not None:
            self._peers[peer.session_id] = peer

    async def touch(self, session_id: SessionId) -> None:
        """Reset the idle timeout of a session; a no-op if the session has ended."""
        with suppress(SessionNotFound):
            await self._services.handshake.session(session_id)

    async def close_session(self, session_id: SessionId) -> None:
        """Close a session and cancel its calls."""
        await self._services.bus.handle(CloseSession(session_id))

    async def health(self) -> Mapping[str, object]:
        """Return the health report as plain values."""
        health = await self._services.bus.handle(GetHealth())
        return {name: getattr(health, name) for name in health.__slots__}

    async def drained(self) -> None:
        """Wait until no call is in flight, except subscriptions."""
        await self._services.in_flight.idle()

    async def readiness(self) -> Mapping[str, object]:
        """Return the readiness as plain values: `status`, and `failing`, the checks that fail."""
        readiness = await self._services.bus.handle(GetReadiness())
        return {"status": readiness.status, "failing": readiness.failing}

    def metrics(self) -> bytes | None:
        """Return the metrics in the Prometheus text format, None if they are disabled."""
        return None if self._upkeep.exposition is None else self._upkeep.exposition()

    async def reload(self) -> Sequence[str]:
        """Reload the settings; return the problems that prevent it, in which case nothing has changed."""
        return await self._upkeep.reload()

    def stop(self) -> None:
        """Begin graceful shutdown: subscriptions return their result, streams and connections close."""
        if self._stopped_at is None:
            self._stopped_at = monotonic()
        self.stopping.set()
        for on_stopping in tuple(self._attached.values()):
            on_stopping()

    async def _keep_house(self) -> None:
        """Periodically stop overdue calls, close idle sessions and drop revoked callers, until cancelled."""
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
        """After the drain period, stop the calls that are still in flight, until cancelled."""
        await self.stopping.wait()
        while True:
            await anyio.sleep(max(self.drain_left, _END_CALLS_SECONDS))
            if not self.drain_left:
                self._services.in_flight.stop_all()

    async def _end_what_is_revoked(self) -> None:
        """Stop calls and close connections of callers whose credentials are no longer valid."""
        for caller in {*self._admitted.values(), *self._services.in_flight.callers()}:
            if not await self._services.bus.handle(CheckCredentials(caller)):
                self._services.in_flight.stop_of(caller)
                for on_revoked in [act for act, admitted in self._admitted.items() if admitted == caller]:
                    del self._admitted[on_revoked]
                    on_revoked()

    async def close(self) -> None:
        """Unsubscribe from the buses and close the adapters; the server cannot be used afterwards."""
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
