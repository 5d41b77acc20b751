"""The handlers of sessions, conversations and health with the embedded adapters."""

from dataclasses import dataclass, field, replace

import anyio
import pytest

from tests.support.watchers import ToldWatcher
from tfo_mcp.application.budgets import Budget
from tfo_mcp.application.catalog import Catalog
from tfo_mcp.application.commands import (
    CloseSession,
    ConfirmSession,
    DrainSession,
    InitializeSession,
    ReapSessions,
    SetLogLevel,
    SubscribeResource,
    UnsubscribeResource,
)
from tfo_mcp.application.handlers.health import HealthHandler
from tfo_mcp.application.handlers.sessions import SessionHandler, SessionLimits
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import StreamId, Use
from tfo_mcp.application.queries import GetCatalogVersions, GetHealth, GetSession
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.domain.errors import (
    InvalidTransition,
    Kind,
    SessionNotFound,
    SessionsExhausted,
    TooManySessions,
)
from tfo_mcp.domain.events import (
    DomainEvent,
    SessionClosed,
    SessionCreated,
    SessionInitialized,
    ToolExecuted,
)
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.interaction import NO_CAPABILITIES, ClientCapabilities
from tfo_mcp.domain.session import Session, SessionState
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionBus, MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog
from tfo_mcp.infrastructure.workers.alone import OneProcess

pytestmark = pytest.mark.anyio

IDLE = 60.0
MOST = 4
MOST_PER_ACCOUNT = 3
HELLO = InitializeSession("owner", "key:owner", "revision", ClientCapabilities(roots=True), "client", "1.0")
HELLO_OF_ANOTHER = InitializeSession("another", "key:another", "revision", NO_CAPABILITIES, "client", "1.0")
NEVER = SessionId("never")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Place:
    """A session handler with its adapters, the events that it published, and a clock that tests set."""

    now: float = 0.0
    heard: list[DomainEvent] = field(default_factory=list)
    events: MemoryEventBus = field(default_factory=MemoryEventBus)
    streams: MemoryStreamLog = field(default_factory=lambda: MemoryStreamLog(10, 1_000_000))
    store: MemorySessionStore = field(init=False)
    watcher: ToldWatcher = field(default_factory=ToldWatcher)
    used: set[SessionId] = field(default_factory=set)
    handler: SessionHandler = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemorySessionStore(IDLE, clock=lambda: self.now)
        relay = MemorySessionBus()
        relay.report_use(Use.OPEN, self.used.__contains__)
        self.handler = SessionHandler(
            self.store,
            self.streams,
            self.events,
            WatchedResources(self.watcher, self.events, Budget("subscriptions", 1000, 1000, "limits.subscriptions")),
            SessionLimits(MOST_PER_ACCOUNT, MOST),
            relay.used,
        )
        kinds: list[type[DomainEvent]] = [SessionCreated, SessionInitialized, SessionClosed]
        self.events.subscribe(kinds, self.heard.append)

    async def state(self, session: Session) -> SessionState:
        """Return the stored state of a session."""
        return (await self.handler.get(GetSession(session.id))).state


class TestSessions:
    async def test_a_session_is_opened_confirmed_drained_and_closed(self) -> None:
        place = Place()
        session = await place.handler.initialize(HELLO)
        assert await place.state(session) is SessionState.INITIALIZING
        await place.handler.confirm(ConfirmSession(session.id))
        assert await place.state(session) is SessionState.READY
        await place.handler.drain(DrainSession(session.id))
        assert await place.state(session) is SessionState.CLOSING
        await place.handler.close(CloseSession(session.id))
        assert place.heard == [
            SessionCreated(session.id, session.version),
            SessionInitialized(session.id),
            SessionClosed(session.id),
        ]
        with pytest.raises(SessionNotFound):
            await place.handler.get(GetSession(session.id))

    async def test_what_the_client_said_is_kept(self) -> None:
        place = Place()
        opened = await place.handler.initialize(HELLO)
        session = await place.handler.get(GetSession(opened.id))
        assert (session.owner, session.version, session.client_name) == ("owner", "revision", "client")
        assert session.capabilities == ClientCapabilities(roots=True)
        assert session.log_level is None

    async def test_a_session_is_confirmed_once(self) -> None:
        place = Place()
        session = await place.handler.initialize(HELLO)
        await place.handler.confirm(ConfirmSession(session.id))
        with pytest.raises(InvalidTransition):
            await place.handler.confirm(ConfirmSession(session.id))
        assert place.heard.count(SessionInitialized(session.id)) == 1

    @pytest.mark.parametrize("drained", [False, True])
    async def test_closing_takes_the_streams_along(self, drained: bool) -> None:
        place = Place()
        session = await place.handler.initialize(HELLO)
        stream = StreamId(session.id, "one")
        await place.streams.create(stream, "key:owner")
        if drained:
            await place.handler.drain(DrainSession(session.id))
        await place.handler.close(CloseSession(session.id))
        assert not await place.streams.exists(stream)

    async def test_closing_what_has_ended_is_no_error_and_no_event(self) -> None:
        place = Place()
        await place.handler.close(CloseSession(NEVER))
        assert place.heard == []

    async def test_idle_sessions_are_reaped_with_their_streams(self) -> None:
        place = Place()
        old = await place.handler.initialize(HELLO)
        await place.streams.create(StreamId(old.id, "one"), "key:owner")
        place.now += IDLE / 2
        young = await place.handler.initialize(HELLO)
        place.now += IDLE / 2 + 1
        await place.handler.reap(ReapSessions())
        assert [event for event in place.heard if isinstance(event, SessionClosed)] == [SessionClosed(old.id)]
        assert not await place.streams.exists(StreamId(old.id, "one"))
        assert await place.state(young) is SessionState.INITIALIZING

    async def test_what_a_client_wants_to_hear_is_remembered(self) -> None:
        place = Place()
        session = await place.handler.initialize(HELLO)
        await place.handler.set_log_level(SetLogLevel(session.id, "warning"))
        for uri in ("a://1", "a://2", "a://1"):
            await place.handler.subscribe(SubscribeResource(session.id, uri))
        for uri in ("a://2", "a://never"):
            await place.handler.unsubscribe(UnsubscribeResource(session.id, uri))
        kept = await place.handler.get(GetSession(session.id))
        assert (kept.log_level, kept.subscriptions) == ("warning", {"a://1"})

    async def test_what_a_session_subscribed_to_is_watched_until_it_ends(self) -> None:
        place = Place()
        sessions = [await place.handler.initialize(HELLO) for _ in range(3)]
        for session in sessions:
            await place.handler.subscribe(SubscribeResource(session.id, "file:///a"))
        await place.handler.unsubscribe(UnsubscribeResource(sessions[0].id, "file:///a"))
        await place.handler.close(CloseSession(sessions[1].id))
        assert place.watcher.uris == ["file:///a"]
        place.now = 2 * IDLE
        await place.handler.reap(ReapSessions())
        assert place.watcher.uris == []

    async def test_a_session_that_ends_while_its_watch_begins_stays_ended(self) -> None:
        place = Place()
        session = await place.handler.initialize(HELLO)
        place.watcher.begins = anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                with pytest.raises(SessionNotFound):
                    await place.handler.subscribe(SubscribeResource(session.id, "file:///a"))

            tasks.start_soon(subscribe)
            await anyio.wait_all_tasks_blocked()
            await place.handler.close(CloseSession(session.id))
            place.watcher.begins.set()
        assert place.watcher.uris == []
        with pytest.raises(SessionNotFound):
            await place.handler.get(GetSession(session.id))

    async def test_a_session_more_than_an_account_may_have_ends_its_longest_idle_one(self) -> None:
        place = Place()
        first, second, *_ = [await place.handler.initialize(HELLO) for _ in range(MOST_PER_ACCOUNT)]
        other = await place.handler.initialize(HELLO_OF_ANOTHER)
        await place.handler.get(GetSession(first.id))
        await place.handler.initialize(HELLO)
        assert SessionClosed(second.id) in place.heard
        assert await place.store.count("key:owner") == MOST_PER_ACCOUNT
        for kept in (first, other):
            await place.handler.get(GetSession(kept.id))

    async def test_sessions_in_use_are_not_ended_and_with_them_alone_an_account_is_refused(self) -> None:
        place = Place()
        used = await place.handler.initialize(HELLO)
        standing = [await place.handler.initialize(replace(HELLO, standing=True)) for _ in range(2)]
        place.used.add(used.id)
        told = len(place.heard)
        with pytest.raises(TooManySessions, match=r"3 sessions.*mcp\.max_sessions_per_caller") as refused:
            await place.handler.initialize(HELLO)
        assert refused.value.kind is Kind.TOO_MANY_SESSIONS
        assert len(place.heard) == told
        assert await place.store.count() == MOST_PER_ACCOUNT
        await place.handler.close(CloseSession(standing[0].id))
        await place.handler.initialize(HELLO)

    async def test_a_full_server_ends_the_longest_idle_session_of_the_largest_account(self) -> None:
        place = Place()
        other = await place.handler.initialize(HELLO_OF_ANOTHER)
        first, *_ = [await place.handler.initialize(HELLO) for _ in range(MOST_PER_ACCOUNT)]
        await place.handler.initialize(HELLO_OF_ANOTHER)
        assert SessionClosed(first.id) in place.heard
        await place.handler.get(GetSession(other.id))
        assert await place.store.count() == MOST

    async def test_a_full_server_without_an_idle_session_refuses(self) -> None:
        place = Place()
        hellos = [replace(hello, standing=True) for hello in (HELLO, HELLO, HELLO_OF_ANOTHER, HELLO)]
        sessions = [await place.handler.initialize(hello) for hello in hellos]
        with pytest.raises(SessionsExhausted, match=r"4 sessions.*mcp\.max_sessions\)") as refused:
            await place.handler.initialize(HELLO_OF_ANOTHER)
        assert refused.value.kind is Kind.SESSIONS_EXHAUSTED
        await place.handler.close(CloseSession(sessions[0].id))
        await place.handler.initialize(HELLO_OF_ANOTHER)

    async def test_callers_with_credentials_find_room_however_many_come_without(self) -> None:
        place = Place()
        for number in range(10):
            await place.handler.initialize(replace(HELLO, account=f"network:192.0.2.{number}"))
        assert await place.store.count() == MOST - 1
        await place.handler.initialize(replace(HELLO, standing=True))
        assert await place.store.count() == MOST

    async def test_idle_sessions_make_room_when_they_are_reaped(self) -> None:
        place = Place()
        for _ in range(MOST_PER_ACCOUNT):
            await place.handler.initialize(HELLO)
        place.now += IDLE + 1
        await place.handler.reap(ReapSessions())
        for _ in range(MOST_PER_ACCOUNT):
            await place.handler.initialize(HELLO)

    async def test_an_unknown_session_is_not_found_by_anything(self) -> None:
        handler = Place().handler
        for work in (
            handler.get(GetSession(NEVER)),
            handler.confirm(ConfirmSession(NEVER)),
            handler.drain(DrainSession(NEVER)),
            handler.set_log_level(SetLogLevel(NEVER, "info")),
            handler.subscribe(SubscribeResource(NEVER, "a://1")),
            handler.unsubscribe(UnsubscribeResource(NEVER, "a://1")),
        ):
            with pytest.raises(SessionNotFound):
                await work


class TestHealth:
    async def test_it_counts_calls_and_tells_how_long_the_server_is_up(self) -> None:
        events, now = MemoryEventBus(), [100.0]
        store = MemorySessionStore(IDLE, clock=lambda: now[0])
        handler = HealthHandler(
            *(Catalog(), Catalog(), Catalog(), Catalog(), store, events, Lifecycle({}), OneProcess()),
            clock=lambda: now[0],
        )
        await store.put(Session(SessionId("one"), "owner", "key:owner"))
        for failed in (False, True, False):
            events.publish(ToolExecuted("tool", failed, 0.1))
        now[0] += 7.9
        health = await handler.health(GetHealth())
        assert (health.status, health.uptime_seconds, health.sessions) == ("ok", 7, 1)
        assert (health.calls, health.failed_calls, health.workers) == (3, 1, 1)
        assert (health.tools, health.resources, health.prompts) == (0, 0, 0)

    async def test_catalog_versions_start_at_zero(self) -> None:
        store, events = MemorySessionStore(IDLE), MemoryEventBus()
        handler = HealthHandler(Catalog(), Catalog(), Catalog(), Catalog(), store, events, Lifecycle({}), OneProcess())
        with anyio.fail_after(5):
            versions = await handler.versions(GetCatalogVersions())
        assert (versions.tools, versions.resources, versions.prompts) == (0, 0, 0)
