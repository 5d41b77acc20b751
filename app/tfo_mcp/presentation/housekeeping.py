"""Housekeeping: the periodic work of a server. Enforces deadlines, ends idle sessions and revoked callers.

Deadlines are enforced by a periodic sweep instead of per-request timers. Knows no socket.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import anyio

from tfo_mcp.application.commands import ReapSessions
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.queries import CheckCredentials
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.errors import SessionNotFound, StateUnavailable
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.presentation.peer_registry import PeerRegistry
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.value_objects import value_object

_SWEEP_SECONDS = 0.5
_END_CALLS_SECONDS = 0.05


def _nothing_to_release() -> None:
    return None


async def _nothing_to_run() -> None:
    return None


async def _cannot_reload() -> Sequence[str]:
    return ("this server was not started from settings that can be reloaded",)


@value_object
class Upkeep:
    """Parameters and callbacks for housekeeping, reload and shutdown.

    `session_idle_seconds` is the idle timeout of sessions; `drain_seconds` the time that calls may take to finish on
    shutdown. `closers` run last on shutdown. `exposition` returns the Prometheus metrics, None if they are disabled.
    `release_memory` takes milliseconds. `reload` reloads the settings and returns the problems, if any. `run` is the
    adapters' own work while the server runs, until cancelled; `connect` waits for a moment until it has begun.
    `prepare` starts what plugins need before the first request, once. `hidden_tools` counts the tools that network
    callers without credentials do not see, 0 if such callers have no access at all.
    """

    session_idle_seconds: float
    drain_seconds: float
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    exposition: Callable[[], bytes] | None = None
    release_memory: Callable[[], None] = _nothing_to_release
    reload: Callable[[], Awaitable[Sequence[str]]] = _cannot_reload
    run: Callable[[], Coroutine[Any, Any, None]] = _nothing_to_run
    connect: Callable[[], Awaitable[None]] = _nothing_to_run
    prepare: Callable[[], Awaitable[None]] = _nothing_to_run
    hidden_tools: Callable[[], int] = int


class Housekeeping:
    """Runs while the server runs."""

    def __init__(self, services: PeerServices, peers: PeerRegistry, lifecycle: Lifecycle, upkeep: Upkeep) -> None:
        self._services = services
        self._peers = peers
        self._lifecycle = lifecycle
        self._upkeep = upkeep
        self._touch_seconds = upkeep.session_idle_seconds / 4
        self._sweep_seconds = min(_SWEEP_SECONDS, self._touch_seconds)
        self._stopped_at: float | None = None
        self._registered: dict[Callable[[], object], Caller] = {}

    async def run(self) -> None:
        """Sweep periodically, and end calls when the time to drain is over; until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sweep_periodically)
            tasks.start_soon(self._end_calls)

    @property
    def lasting(self) -> int:
        """Number of open connections and streams."""
        return len(self._registered)

    @property
    def drain_left(self) -> float:
        """Seconds that calls may still run; all of them until the server stops."""
        if self._stopped_at is None:
            return self._upkeep.drain_seconds
        return max(0.0, self._stopped_at + self._upkeep.drain_seconds - monotonic())

    @contextmanager
    def registered(self, caller: Caller, on_revoked: Callable[[], object]) -> Iterator[None]:
        """Call `on_revoked` when the credentials of the caller are revoked or expire, until the context is left."""
        self._registered[on_revoked] = caller
        try:
            yield
        finally:
            self._registered.pop(on_revoked, None)

    async def touch(self, session_id: SessionId) -> None:
        """Note that a session is in use although no request says so; a session that has ended is ignored."""
        with suppress(SessionNotFound, StateUnavailable):
            await self._services.handshake.session(session_id)

    def stop(self) -> None:
        """Begin to drain."""
        if self._stopped_at is None:
            self._stopped_at = monotonic()

    async def _sweep_periodically(self) -> None:
        touched = monotonic()
        while True:
            await anyio.sleep(self._sweep_seconds)
            self._lifecycle.look()
            self._services.in_flight.stop_overdue()
            self._services.in_flight.report_quiet()
            if monotonic() - touched >= self._touch_seconds:
                touched = monotonic()
                for session_id in self._peers.attached_sessions():
                    await self.touch(session_id)
            with suppress(StateUnavailable):
                await self._services.bus.handle(ReapSessions())
            await self._end_revoked()
            self._upkeep.release_memory()

    async def _end_calls(self) -> None:
        await self._lifecycle.stopping.wait()
        while True:
            await anyio.sleep(max(self.drain_left, _END_CALLS_SECONDS))
            if not self.drain_left:
                self._services.in_flight.stop_all()

    async def _end_revoked(self) -> None:
        """End the calls and connections of callers whose credentials are no longer valid."""
        for caller in {*self._registered.values(), *self._services.in_flight.callers()}:
            if not await self._services.bus.handle(CheckCredentials(caller)):
                self._services.in_flight.stop_of(caller)
                for on_revoked in [act for act, registered in self._registered.items() if registered == caller]:
                    del self._registered[on_revoked]
                    on_revoked()
