"""Server: the running application as its transports see it.

A facade over the peers, the message bus and the housekeeping. Knows no socket; `tfo_mcp.bootstrap` builds it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import fields
from functools import partial
from secrets import token_hex

import anyio

from tfo_mcp.application.budgets import SMALL_BYTES, Budget, ClientBudgets
from tfo_mcp.application.commands import Authenticate, CloseSession
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import EventBus, PostRelay
from tfo_mcp.application.queries import GetHealth, GetReadiness
from tfo_mcp.application.session_use import SessionUse
from tfo_mcp.domain.access import OWNER, READING, SCOPES, Caller
from tfo_mcp.domain.accounts import network_of
from tfo_mcp.domain.errors import DomainError, StateUnavailable
from tfo_mcp.domain.events import ReloadRequested
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.housekeeping import Housekeeping, Upkeep
from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.peer_registry import PeerRegistry
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.presentation.protocol.call import Facts
from tfo_mcp.presentation.protocol.faults import fault_of
from tfo_mcp.presentation.protocol.revisions import REVISIONS
from tfo_mcp.presentation.streams import Streams

__all__ = [
    "OWNER",
    "SMALL_BYTES",
    "Budget",
    "Caller",
    "Server",
    "StateUnavailable",
    "network_of",
    "scope_names",
    "supported_versions",
]


def supported_versions() -> list[str]:
    """Return the protocol revisions that are served, oldest first."""
    return list(REVISIONS)


def scope_names(*, reading: bool = False) -> list[str]:
    """Return the names of all scopes, or only of the read-only ones if `reading` is true."""
    return [name for name in SCOPES if not reading or name in READING]


class Server:
    """The interface of the application that transports use."""

    def __init__(
        self,
        services: PeerServices,
        streams: Streams,
        events: EventBus,
        lifecycle: Lifecycle,
        upkeep: Upkeep,
        budgets: ClientBudgets,
        session_use: SessionUse,
        posts: PostRelay,
    ) -> None:
        self._services = services
        self._budgets = budgets
        self._session_use = session_use
        self._lifecycle = lifecycle
        self._upkeep = upkeep
        self._events = events
        self._id = token_hex(6)
        self._starting: anyio.CancelScope | None = None
        self.streams = streams
        self.posts = posts
        self.peers = PeerRegistry(services, events)
        self._housekeeping = Housekeeping(services, self.peers, lifecycle, upkeep)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run housekeeping until the context exits, then stop and close; the server cannot be used afterwards."""
        try:
            await self.prepare()
        except BaseException:
            await self.close()
            raise
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._housekeeping.run)
            tasks.start_soon(self._upkeep.run)
            await self._upkeep.connect()
            self._lifecycle.start()
            yield
            self.stop()
            tasks.cancel_scope.cancel()
        await self.close()

    async def prepare(self) -> None:
        """Start what plugins need before the first request; a no-op after the first time.

        Ends early, without an exception, when the server is stopped.

        Raises:
            PluginError: a plugin cannot start.
        """
        with anyio.CancelScope() as self._starting:
            if not self.stopping.is_set():
                await self._upkeep.prepare()
        self._starting = None

    @property
    def stopping(self) -> anyio.Event:
        """Set when the server begins to stop; long-lived calls and streams then end."""
        return self._lifecycle.stopping

    @property
    def hidden_tools(self) -> int:
        """Number of tools that network callers without credentials do not see; 0 if they have no access at all."""
        return self._upkeep.hidden_tools()

    @property
    def lasting(self) -> int:
        """Number of open connections and streams."""
        return self._housekeeping.lasting

    @property
    def drain_seconds(self) -> float:
        """Seconds that calls in flight may take to finish during shutdown."""
        return self._upkeep.drain_seconds

    @property
    def drain_left(self) -> float:
        """Remaining seconds of the drain period; the full period before the server stops."""
        return self._housekeeping.drain_left

    async def authenticate(
        self, credential: str | None, transport: str, address: str | None, *, is_forwarded: bool = False
    ) -> Caller:
        """Return the caller that a credential stands for.

        Args:
            credential: an API key or a token; None without one.
            transport: its name.
            address: the address of the client.
            is_forwarded: whether a proxy forwarded the request without credentials.

        Raises:
            Fault: the credential is missing or wrong, or the address has shown wrong ones too often.
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
        """Charge a stream or a connection to the client; return what gives it back.

        Raises:
            Fault: the client has too many.
        """
        account, streams = facts.account, self._budgets.streams
        try:
            streams.take(account)
        except DomainError as problem:
            raise fault_of(problem) from None
        return partial(streams.give_back, account)

    def registered(self, caller: Caller, on_revoked: Callable[[], object]) -> AbstractContextManager[None]:
        """Return a context in which `on_revoked` is called when the caller's credentials are revoked or expire."""
        return self._housekeeping.registered(caller, on_revoked)

    def using(self, session_id: SessionId) -> AbstractContextManager[None]:
        """Return a context for as long as a stream of the session is read: the session is not idle."""
        return self._session_use.held(session_id)

    def attached(
        self, on_closed: Callable[[], None], on_stopping: Callable[[], object]
    ) -> AbstractAsyncContextManager[Peer]:
        """Return a context with the peer of a connection: while it lasts the session is not idle, then it ends.

        Args:
            on_closed: called when the client ends the session by `shutdown`.
            on_stopping: called when the server begins to stop; may come from a signal handler.
        """
        if self.stopping.is_set():
            on_stopping()
        return self.peers.attached(on_closed, on_stopping)

    async def touch(self, session_id: SessionId) -> None:
        """Note that a session is in use although no request says so; a session that has ended is ignored."""
        await self._housekeeping.touch(session_id)

    async def close_session(self, session_id: SessionId) -> None:
        """Close a session and cancel its calls.

        Raises:
            Fault: the session cannot be closed now.
        """
        try:
            await self._services.bus.handle(CloseSession(session_id))
        except DomainError as problem:
            raise fault_of(problem) from None

    async def health(self) -> Mapping[str, object]:
        """Return the health report as plain values."""
        health = await self._services.bus.handle(GetHealth())
        return {field.name: getattr(health, field.name) for field in fields(health)}

    async def drained(self) -> None:
        """Wait until no call is in flight, except subscriptions."""
        await self._services.in_flight.idle()

    async def readiness(self) -> Mapping[str, object]:
        """Return the readiness as plain values: `status`, and `failing`, the checks that fail."""
        readiness = await self._services.bus.handle(GetReadiness())
        return {"status": readiness.status, "failing": readiness.failing}

    def metrics(self) -> bytes | None:
        """Return the metrics in the text format of Prometheus, None where they are not shown."""
        return None if self._upkeep.exposition is None else self._upkeep.exposition()

    async def reload(self) -> Sequence[str]:
        """Reload the settings; return the problems that prevented it, in which case nothing has changed."""
        return await self._upkeep.reload()

    def request_reload(self) -> None:
        """Ask the replicas of this server to reload their settings, too."""
        self._events.publish(ReloadRequested(self._id))

    def on_reload_request(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a replica asks this server to reload its settings."""
        self._events.subscribe([ReloadRequested], lambda event: None if event.origin == self._id else listener())

    def stop(self) -> None:
        """Begin graceful shutdown: subscriptions return their result, streams and connections close."""
        self._housekeeping.stop()
        self.stopping.set()
        if self._starting is not None:
            self._starting.cancel()
        self.peers.stop()

    async def close(self) -> None:
        """Unsubscribe from the buses and close the adapters; the server cannot be used afterwards."""
        self.peers.close()
        for closer in self._upkeep.closers:
            await closer()
