"""The adapters that the contracts are run over: one fixture per port, one parameter per adapter.

A fixture builds the adapter and whatever a suite needs to steer it (`SessionStores.grow_old`), and frees both.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from tfo_mcp.application.ports import EventBus, Sealer, SessionBus, SessionStore, StreamLog
from tfo_mcp.infrastructure.identity.sealer import HmacSealer
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionBus, MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog

HISTORY = 5
ACCOUNT_BYTES = 64 * 1024 * 1024
IDLE = 60.0
KEY = "a key of more than thirty-two characters"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class SessionStores:
    """A store, and a way to let all that is in it be idle for too long."""

    store: SessionStore
    grow_old: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory"])
def sessions(request: pytest.FixtureRequest) -> SessionStores:
    """Return an empty session store of each kind."""
    assert request.param == "memory"
    now = [0.0]

    async def grow_old() -> None:
        now[0] += IDLE + 1

    return SessionStores(MemorySessionStore(IDLE, clock=lambda: now[0]), grow_old)


@pytest.fixture(params=["memory"])
def stream_log(request: pytest.FixtureRequest) -> StreamLog:
    """Return an empty stream log of each kind, which keeps HISTORY frames of a stream."""
    assert request.param == "memory"
    return MemoryStreamLog(HISTORY, ACCOUNT_BYTES)


@pytest.fixture(params=["memory"])
def session_bus(request: pytest.FixtureRequest) -> tuple[SessionBus, SessionBus]:
    """Return the same bus as two processes have it: one publishes, the other listens."""
    assert request.param == "memory"
    shared = MemorySessionBus()
    return shared, shared


@pytest.fixture(params=["memory"])
def event_bus(request: pytest.FixtureRequest) -> EventBus:
    """Return an event bus of each kind."""
    assert request.param == "memory"
    return MemoryEventBus()


@pytest.fixture(params=["hmac"])
def new_sealer(request: pytest.FixtureRequest) -> Callable[[str | None], Sealer]:
    """Return what makes a sealer of each kind from a key."""
    assert request.param == "hmac"
    return HmacSealer
