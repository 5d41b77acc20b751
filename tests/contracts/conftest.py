"""The adapters that the contracts are run over: one fixture per port, one parameter per adapter.

A fixture builds the adapter and whatever a suite needs to steer it (`SessionStores.grow_old`), and frees both. The
adapters of Redis use a real one, each test with keys of its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from time import monotonic

import anyio
import pytest
from sqlalchemy import update

from tests.support.clickhouse import ClickHouseServer, clickhouse_server
from tests.support.databases import ENGINES, access_to, new_database
from tests.support.deadlines import PATIENCE, eventually
from tests.support.nats_server import nats_server
from tests.support.nats_streams import remove_streams, stored_events
from tests.support.redis_server import RedisServer, redis_server
from tfo_mcp.application.ports import (
    Cache,
    ConversationStore,
    EventBus,
    EventLog,
    KeyStore,
    Outbox,
    PostRelay,
    RateStore,
    RecordedEvent,
    Sealer,
    SessionBus,
    SessionStore,
    StreamLog,
    UsageStore,
    WorkQueue,
)
from tfo_mcp.application.shared_events import SharedEventBus
from tfo_mcp.infrastructure.identity.key_file import KeyFile
from tfo_mcp.infrastructure.identity.sealer import HmacSealer
from tfo_mcp.infrastructure.nats.connection import JetStream, StreamSettings
from tfo_mcp.infrastructure.nats.event_log import NatsEventLog
from tfo_mcp.infrastructure.nats.replica_channel import REPLICAS, NatsReplicaChannel
from tfo_mcp.infrastructure.nats.work_queue import DEAD, WORK, NatsWorkQueue
from tfo_mcp.infrastructure.redis.state import RedisState
from tfo_mcp.infrastructure.state.cache import MemoryCache
from tfo_mcp.infrastructure.state.conversations import MemoryConversationStore
from tfo_mcp.infrastructure.state.event_log import MemoryEventLog, MemoryOutbox
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.posts import MemoryPostRelay
from tfo_mcp.infrastructure.state.rates import MemoryRateStore
from tfo_mcp.infrastructure.state.sessions import MemorySessionBus, MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog
from tfo_mcp.infrastructure.state.usage import MemoryUsageStore
from tfo_mcp.infrastructure.state.work_queue import MemoryWorkQueue
from tfo_mcp.infrastructure.storage.conversations import SqlConversationStore
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.keys import SqlKeyStore
from tfo_mcp.infrastructure.storage.outbox import SqlOutbox
from tfo_mcp.infrastructure.storage.quotas import SqlRateStore
from tfo_mcp.infrastructure.storage.sessions import SqlSessionStore
from tfo_mcp.infrastructure.storage.tables import conversations as stored_conversations
from tfo_mcp.infrastructure.storage.tables import sessions as stored_sessions
from tfo_mcp.infrastructure.storage.usage import SqlUsageStore

HISTORY = 5
ACCOUNT_BYTES = 64 * 1024 * 1024
IDLE = 60.0
MOST_CONVERSATIONS = 3
SHORT_IDLE = 1.5  # seconds, where the time is real
LEASE = 0.6  # seconds
VISIBILITY = 0.5  # seconds
KEY = "a key of more than thirty-two characters"
BACKENDS = ["memory", "redis"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """Run a Redis for all contracts."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Run a ClickHouse for all contracts."""
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@dataclass(frozen=True)
class SessionStores:
    """A store, another replica's view of it, and a way to let all that is in it be idle for too long."""

    store: SessionStore
    other: SessionStore
    grow_old: Callable[[], Awaitable[None]]


@asynccontextmanager
async def connected(*replicas: RedisState) -> AsyncIterator[None]:
    """Run what these replicas need in the background, and wait until messages reach them."""
    async with anyio.create_task_group() as tasks:
        for replica in replicas:
            tasks.start_soon(replica.run)
        for replica in replicas:
            await replica.connect()
        await eventually(lambda: all(replica.works() for replica in replicas), "all replicas are connected")
        yield
        tasks.cancel_scope.cancel()
    for replica in replicas:
        await replica.aclose()


def pair_of(server: RedisServer) -> tuple[RedisState, RedisState]:
    """Return two replicas with keys of their own."""
    prefix = f"{token_hex(4)}:"
    return RedisState(server.url, prefix, PATIENCE), RedisState(server.url, prefix, PATIENCE)


def migrated(request: pytest.FixtureRequest) -> Database:
    """Return a database of the fixture's engine with empty tables."""
    access = access_to(new_database(request.param, request))
    access.upgrade()
    return access.open(schema_is_known=True)


@asynccontextmanager
async def two_databases(
    request: pytest.FixtureRequest, *, schema_is_known: bool = True
) -> AsyncIterator[tuple[Database, Database]]:
    """Yield a database of the fixture's engine with empty tables, as two processes have it."""
    access = access_to(new_database(request.param, request), PATIENCE)
    access.upgrade()
    async with AsyncExitStack() as stack:
        one, other = (access.open(schema_is_known=schema_is_known) for _ in range(2))
        stack.push_async_callback(one.aclose)
        stack.push_async_callback(other.aclose)
        yield one, other


@dataclass
class Clock:
    """A clock that a test sets, in seconds since 1970."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture(params=[*BACKENDS, *ENGINES])
async def sessions(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[SessionStores]:
    """Yield an empty session store of each kind."""
    now = [0.0]
    local = MemorySessionStore(IDLE, clock=lambda: now[0])
    if request.param == "memory":

        async def grow_old() -> None:
            now[0] += IDLE + 1

        yield SessionStores(local, local, grow_old)
        return
    if request.param in ENGINES:
        database = migrated(request)

        async def grow_old_there() -> None:
            now[0] += IDLE + 1
            older = update(stored_sessions).values(used=stored_sessions.c.used - (IDLE + 1))
            await database.write(lambda connection: connection.execute(older))

        store = SqlSessionStore(local, database, IDLE, clock=lambda: now[0])
        yield SessionStores(store, store, grow_old_there)
        await database.aclose()
        return

    async def wait() -> None:
        begun = monotonic()
        await eventually(lambda: monotonic() > begun + SHORT_IDLE + 0.05, "the idle time is over")

    replicas = pair_of(request.getfixturevalue("redis"))
    shared, other = (replica.sessions(MemorySessionStore(IDLE), SHORT_IDLE) for replica in replicas)
    async with connected(*replicas):
        yield SessionStores(shared, other, wait)


@dataclass(frozen=True)
class ConversationStores:
    """A store as two replicas have it, and a way to let all that is in it be unused for too long."""

    stores: tuple[ConversationStore, ConversationStore]
    grow_old: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", *ENGINES])
async def conversations(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[ConversationStores]:
    """Yield an empty conversation store of each kind, which keeps MOST_CONVERSATIONS of an owner."""
    now = [0.0]
    if request.param == "memory":

        async def grow_old() -> None:
            now[0] += IDLE + 1

        local = MemoryConversationStore(IDLE, MOST_CONVERSATIONS, clock=lambda: now[0])
        yield ConversationStores((local, local), grow_old)
        return
    database = migrated(request)

    async def grow_old_there() -> None:
        older = update(stored_conversations).values(used=stored_conversations.c.used - (IDLE + 1))
        await database.write(lambda connection: connection.execute(older))

    here, there = (SqlConversationStore(database, IDLE, MOST_CONVERSATIONS) for _ in range(2))
    yield ConversationStores((here, there), grow_old_there)
    await database.aclose()


@pytest.fixture
async def redis_sessions(redis: RedisServer, anyio_backend: str) -> AsyncIterator[tuple[SessionStore, SessionStore]]:
    """Yield the session stores of two replicas that share a Redis."""
    replicas = pair_of(redis)
    stores = tuple(replica.sessions(MemorySessionStore(IDLE), IDLE) for replica in replicas)
    async with connected(*replicas):
        yield stores[0], stores[1]


@pytest.fixture(params=BACKENDS)
async def stream_logs(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[StreamLog, StreamLog]]:
    """Yield an empty stream log of each kind as two processes have it, which keeps HISTORY frames of a stream."""
    if request.param == "memory":
        shared = MemoryStreamLog(HISTORY, ACCOUNT_BYTES)
        yield shared, shared
        return
    one, other = pair_of(request.getfixturevalue("redis"))
    logs = one.streams(HISTORY, ACCOUNT_BYTES, IDLE), other.streams(HISTORY, ACCOUNT_BYTES, IDLE)
    async with connected(one, other):
        yield logs


@pytest.fixture
def stream_log(stream_logs: tuple[StreamLog, StreamLog]) -> StreamLog:
    """Return an empty stream log."""
    return stream_logs[0]


@pytest.fixture(params=BACKENDS)
async def session_bus(
    request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[tuple[SessionBus, SessionBus]]:
    """Yield the same bus as two processes have it: one publishes, the other listens."""
    if request.param == "memory":
        shared = MemorySessionBus()
        yield shared, shared
        return
    replicas = pair_of(request.getfixturevalue("redis"))
    buses = replicas[0].relay(), replicas[1].relay()
    async with connected(*replicas):
        yield buses


@pytest.fixture(params=BACKENDS)
async def post_relays(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[PostRelay, PostRelay]]:
    """Yield the same relay as two processes have it."""
    if request.param == "memory":
        shared = MemoryPostRelay()
        yield shared, shared
        return
    replicas = pair_of(request.getfixturevalue("redis"))
    relays = replicas[0].posts(MemoryPostRelay()), replicas[1].posts(MemoryPostRelay())
    async with connected(*replicas):
        yield relays


@pytest.fixture
async def redis_event_buses(redis: RedisServer, anyio_backend: str) -> AsyncIterator[tuple[EventBus, EventBus]]:
    """Yield the event buses of two replicas that share a Redis."""
    replicas = pair_of(redis)
    buses = replicas[0].events(MemoryEventBus()), replicas[1].events(MemoryEventBus())
    async with connected(*replicas):
        yield buses


@pytest.fixture
async def nats_event_buses(nats_url: str, anyio_backend: str) -> AsyncIterator[tuple[EventBus, EventBus]]:
    """Yield the event buses of two servers with one event log in NATS and no Redis."""
    await remove_streams(nats_url)
    connection = partial(
        JetStream, [nats_url], [StreamSettings("REPLICAS", 1, 60.0, 0, 60.0, REPLICAS)], None, PATIENCE
    )
    channels = [NatsReplicaChannel(connection, "REPLICAS") for _ in range(2)]
    one, other = (SharedEventBus(channel, token_hex(4), MemoryEventBus()) for channel in channels)
    async with anyio.create_task_group() as tasks:
        for run in (one.run, other.run, *(channel.run for channel in channels)):
            tasks.start_soon(run)
        for channel in channels:
            await channel.first_read.wait()
        yield one, other
        tasks.cancel_scope.cancel()
    for channel in channels:
        await channel.aclose()


@pytest.fixture(params=["redis", "nats"])
def shared_event_buses(request: pytest.FixtureRequest) -> tuple[EventBus, EventBus]:
    """Return the event buses of two replicas, of each kind that replicas share."""
    buses: tuple[EventBus, EventBus] = request.getfixturevalue(f"{request.param}_event_buses")
    return buses


@pytest.fixture(params=[*BACKENDS, "nats"])
def event_buses(request: pytest.FixtureRequest) -> tuple[EventBus, EventBus]:
    """Return an event bus of each kind as two processes have it."""
    if request.param != "memory":
        buses: tuple[EventBus, EventBus] = request.getfixturevalue(f"{request.param}_event_buses")
        return buses
    shared = MemoryEventBus()
    return shared, shared


@pytest.fixture
def event_bus(event_buses: tuple[EventBus, EventBus]) -> EventBus:
    """Return an event bus."""
    return event_buses[0]


@pytest.fixture(params=[*BACKENDS, *ENGINES])
async def rates(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[RateStore, RateStore]]:
    """Yield the same rate counters as two processes have them."""
    if request.param == "memory":
        shared = MemoryRateStore()
        yield shared, shared
        return
    if request.param in ENGINES:
        async with two_databases(request) as databases:
            yield SqlRateStore(databases[0]), SqlRateStore(databases[1])
        return
    replicas = pair_of(request.getfixturevalue("redis"))
    stores = tuple(replica.rates(MemoryRateStore(), "calls") for replica in replicas)
    async with connected(*replicas):
        yield stores[0], stores[1]


@pytest.fixture(params=BACKENDS)
async def caches(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[Cache, Cache]]:
    """Yield the same cache as two processes have it."""
    if request.param == "memory":
        shared = MemoryCache()
        yield shared, shared
        return
    replicas = pair_of(request.getfixturevalue("redis"))
    async with connected(*replicas):
        yield replicas[0].cache(), replicas[1].cache()


@pytest.fixture(params=["memory", *ENGINES])
async def usage_stores(
    request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[tuple[UsageStore, UsageStore, Clock]]:
    """Yield an empty store of usage as two processes have it, and their clock."""
    clock = Clock()
    if request.param == "memory":
        shared = MemoryUsageStore(clock)
        yield shared, shared, clock
        return
    async with two_databases(request) as databases:
        yield SqlUsageStore(databases[0], clock), SqlUsageStore(databases[1], clock), clock


@pytest.fixture(params=["hmac"])
def new_sealer(request: pytest.FixtureRequest) -> Callable[[str], Sealer]:
    """Return what makes a sealer of each kind from a key."""
    assert request.param == "hmac"
    return HmacSealer


@pytest.fixture(params=["file", *ENGINES])
async def key_stores(
    request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str
) -> AsyncIterator[tuple[KeyStore, KeyStore]]:
    """Yield an empty key store of each kind as two processes have it."""
    if request.param == "file":
        yield KeyFile(tmp_path / "keys.json"), KeyFile(tmp_path / "keys.json")
        return
    async with two_databases(request, schema_is_known=False) as databases:
        yield SqlKeyStore(databases[0]), SqlKeyStore(databases[1])


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """Run a NATS server for all contracts."""
    with nats_server() as server:
        yield server.url


@pytest.fixture(params=["memory", "nats"])
async def event_log(
    request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[tuple[EventLog, Callable[[], Awaitable[Sequence[RecordedEvent]]]]]:
    """Yield an empty event log of each kind, and what reads it from the beginning as another program would."""
    if request.param == "nats":
        url = request.getfixturevalue("nats_url")
        stream = StreamSettings("EVENTS", 1, 600.0, 0, 60.0)
        await remove_streams(url)
        published = NatsEventLog(JetStream([url], [stream], None, PATIENCE))
        yield published, partial(stored_events, url, stream.name)
        await published.aclose()
        return
    log = MemoryEventLog()

    async def read() -> Sequence[RecordedEvent]:
        return log.events

    yield log, read
    await log.aclose()


@pytest.fixture(params=["memory", *ENGINES])
async def outboxes(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[Outbox, Outbox]]:
    """Yield an empty outbox of each kind as two processes have it; a lease lasts LEASE seconds."""
    if request.param == "memory":
        shared = MemoryOutbox(1000)
        yield shared, shared
        return
    async with two_databases(request) as databases:
        yield SqlOutbox(databases[0], "one", LEASE), SqlOutbox(databases[1], "other", LEASE)


@pytest.fixture(params=["memory", "nats"])
async def work_queues(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[WorkQueue, WorkQueue]]:
    """Yield an empty work queue of each kind as two processes have it; a job is visible again after VISIBILITY."""
    if request.param == "memory":
        shared = MemoryWorkQueue(VISIBILITY)
        yield shared, shared
        return
    url = request.getfixturevalue("nats_url")
    await remove_streams(url)
    streams = (
        StreamSettings("WORK", 1, 0.0, 0, 60.0, f"{WORK}.>", is_queue=True),
        StreamSettings("DEAD", 1, 600.0, 0, 60.0, f"{DEAD}.>"),
    )
    connection = partial(JetStream, [url], streams, None, PATIENCE)
    one, other = (NatsWorkQueue(connection, "WORK", "DEAD", VISIBILITY) for _ in range(2))
    yield one, other
    await one.aclose()
    await other.aclose()
