"""State: the adapters that hold what outlives a request. Servers that share them are replicas of each other."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import field, replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import anyio

from tfo_mcp.application.event_recorder import EventRecorder
from tfo_mcp.application.lifecycle import Needs
from tfo_mcp.application.ports import (
    Cache,
    ConversationStore,
    EventBus,
    PostRelay,
    RateStore,
    SessionBus,
    SessionStore,
    StreamLog,
    UsageStore,
)
from tfo_mcp.application.shared_events import SharedEventBus
from tfo_mcp.bootstrap.events import EventPipeline, event_pipeline, replica_channel
from tfo_mcp.bootstrap.roots import served_roots
from tfo_mcp.bootstrap.storage import database_of
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.events_section import MEMORY
from tfo_mcp.infrastructure.state.cache import MemoryCache
from tfo_mcp.infrastructure.state.conversations import MemoryConversationStore
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.posts import MemoryPostRelay
from tfo_mcp.infrastructure.state.rates import MemoryRateStore
from tfo_mcp.infrastructure.state.sessions import MemorySessionBus, MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog
from tfo_mcp.infrastructure.state.usage import MemoryUsageStore
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.storage.database import Database
    from tfo_mcp.infrastructure.storage.maintenance import Maintenance
    from tfo_mcp.infrastructure.storage.retention import KeptDays

_CONNECT_SECONDS = 2.0
_FLUSH_SECONDS = 5.0
_PURGE_SECONDS = 60.0
_RETENTION_SECONDS = 60.0  # to find out whether it is due


async def _nothing() -> None:
    return None


@value_object
class SharedState:
    """The adapters that replicas share.

    `rates` counts calls, `failures` wrong credentials, `quotas` what counts for a day: separate stores, since many
    hostile networks would evict the other counters. `optional` are checks of services without which the server goes on
    with less, by name. `run` is the adapters' work while the server runs, until cancelled; `connect` waits for a moment
    until it has begun. `database` and its `maintenance` are None if nothing is stored, `pipeline` if nothing reads
    domain events after the calls.
    """

    sessions: SessionStore
    streams: StreamLog
    relay: SessionBus
    events: EventBus
    conversations: ConversationStore
    posts: PostRelay = field(default_factory=MemoryPostRelay)
    rates: RateStore = field(default_factory=MemoryRateStore)
    quotas: RateStore = field(default_factory=MemoryRateStore)
    usage: UsageStore = field(default_factory=MemoryUsageStore)
    failures: RateStore = field(default_factory=MemoryRateStore)
    cache: Cache = field(default_factory=MemoryCache)
    optional: Needs = field(default_factory=dict)
    run: Callable[[], Coroutine[Any, Any, None]] = _nothing
    connect: Callable[[], Awaitable[None]] = _nothing
    aclose: Callable[[], Awaitable[None]] = _nothing
    database: "Database | None" = None
    maintenance: "Maintenance | None" = None
    pipeline: EventPipeline | None = None

    @classmethod
    def of(cls, settings: Settings) -> "SharedState":
        """Return the state that the settings ask for.

        Raises:
            ConfigurationError: the client of Redis is not installed, or the database cannot be used.
        """
        database = database_of(settings, served_roots(settings).paths)
        state = cls.embedded(settings) if settings.state.is_memory else _in_redis(settings)
        if settings.state.is_memory and settings.events.url != MEMORY:
            state = _with_announcements(state, settings)
        stores_sessions = database is not None and isinstance(state.sessions, MemorySessionStore)
        pipeline = event_pipeline(settings, state.events, database, stores_sessions=stores_sessions)
        state = state if pipeline is None else _with_events(state, pipeline)
        return state if database is None else _with_database(state, database, settings)

    @classmethod
    def embedded(cls, settings: Settings) -> "SharedState":
        """Return the embedded default: the memory of this process."""
        return cls(
            MemorySessionStore(settings.mcp.session_idle_seconds),
            MemoryStreamLog(settings.mcp.stream_history, settings.limits.history_bytes),
            MemorySessionBus(),
            MemoryEventBus(),
            MemoryConversationStore(settings.claude.conversation_idle_seconds, settings.claude.max_conversations),
        )


def _in_redis(settings: Settings) -> SharedState:
    try:
        from tfo_mcp.infrastructure.redis.state import RedisState  # an optional dependency
    except ImportError:
        raise ConfigurationError(("state.url needs the package's extra: pip install 'tfo-mcp[redis]'",)) from None
    section, mcp = settings.state, settings.mcp
    local = SharedState.embedded(settings)
    state = RedisState(section.url, section.key_prefix, section.timeout_seconds)
    return SharedState(
        state.sessions(local.sessions, mcp.session_idle_seconds),
        state.streams(mcp.stream_history, settings.limits.history_bytes, mcp.session_idle_seconds),
        state.relay(),
        state.events(local.events),
        local.conversations,
        posts=state.posts(local.posts),
        rates=state.rates(local.rates, "calls"),
        quotas=state.rates(local.quotas, "calls"),
        failures=state.rates(local.failures, "failures"),
        cache=state.cache(),
        optional={"redis": state.works},
        run=state.run,
        connect=state.connect,
        aclose=state.aclose,
    )


def _with_announcements(state: SharedState, settings: Settings) -> SharedState:
    """Return the state with an event bus that announces changes to the other servers through NATS."""
    channel = replica_channel(settings)
    bus = SharedEventBus(channel, token_hex(6), state.events)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            for work in (state.run, channel.run, bus.run):
                tasks.start_soon(work)

    async def connect() -> None:
        with anyio.move_on_after(_CONNECT_SECONDS):
            await channel.first_read.wait()

    async def aclose() -> None:
        await bus.aclose()
        await channel.aclose()
        await state.aclose()

    optional = {**state.optional, "nats": channel.works}
    return replace(state, events=bus, optional=optional, run=run, connect=connect, aclose=aclose)


def _with_events(state: SharedState, pipeline: EventPipeline) -> SharedState:
    """Return the state with an event bus that records the events of this process."""

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(state.run)
            tasks.start_soon(pipeline.run)

    async def aclose() -> None:
        await pipeline.aclose()
        await state.aclose()

    return replace(state, events=pipeline.recorder, run=run, aclose=aclose, pipeline=pipeline)


def _with_database(state: SharedState, database: "Database", settings: Settings) -> SharedState:
    """Return the state with a database; sessions and quotas are there unless they are in Redis."""
    from tfo_mcp.infrastructure.storage.conversations import SqlConversationStore
    from tfo_mcp.infrastructure.storage.maintenance import Maintenance, Periodic
    from tfo_mcp.infrastructure.storage.quotas import SqlRateStore
    from tfo_mcp.infrastructure.storage.retention import StorageRetention
    from tfo_mcp.infrastructure.storage.usage import SqlUsageStore

    claude = settings.claude
    records = None if (recorder := _transactional(state)) is None else recorder.records
    conversations = SqlConversationStore(database, claude.conversation_idle_seconds, claude.max_conversations, records)
    usage, maintenance = SqlUsageStore(database), Maintenance(database)
    maintenance.add(Periodic(_PURGE_SECONDS, conversations.purge))
    maintenance.add(Periodic(_FLUSH_SECONDS, usage.flush, at_end=True))
    maintenance.add(Periodic(_RETENTION_SECONDS, StorageRetention(database, _kept_days(settings)).run))
    sessions, quotas = state.sessions, state.quotas
    if isinstance(sessions, MemorySessionStore):
        sessions, quotas = _stored_sessions(state, sessions, database, maintenance, settings), SqlRateStore(database)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(state.run)
            tasks.start_soon(maintenance.run)

    async def aclose() -> None:
        await state.aclose()
        await maintenance.aclose()

    return replace(
        state,
        sessions=sessions,
        conversations=conversations,
        quotas=quotas,
        usage=usage,
        optional={**state.optional, "storage": database.works},
        run=run,
        aclose=aclose,
        database=database,
        maintenance=maintenance,
    )


def _stored_sessions(
    state: SharedState,
    local: MemorySessionStore,
    database: "Database",
    maintenance: "Maintenance",
    settings: Settings,
) -> SessionStore:
    from tfo_mcp.infrastructure.storage.maintenance import Periodic
    from tfo_mcp.infrastructure.storage.sessions import SqlSessionStore

    idle_seconds = settings.mcp.session_idle_seconds
    flush_seconds = min(_FLUSH_SECONDS, idle_seconds / 4)
    sessions = SqlSessionStore(local, database, idle_seconds, _transactional(state))
    maintenance.add(
        Periodic(0.0, sessions.restore),
        Periodic(flush_seconds, sessions.flush, at_end=True),
        Periodic(_PURGE_SECONDS, partial(sessions.purge, 2 * flush_seconds)),
    )
    return sessions


def _transactional(state: SharedState) -> EventRecorder | None:
    """Return the recorder if stores record their events in their transactions."""
    return state.pipeline.recorder if state.pipeline is not None and state.pipeline.is_durable else None


def _kept_days(settings: Settings) -> "KeptDays":
    from tfo_mcp.infrastructure.storage.retention import KeptDays

    section = settings.storage
    return KeptDays(section.audit_days, section.usage_days, section.ended_keys_days, section.outbox_days)
