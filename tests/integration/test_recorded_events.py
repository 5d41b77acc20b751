"""Recorded events: each event of what was stored reaches the event log once and in order, whatever fails between."""

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from tests.support.databases import ENGINES, access_to, new_database
from tests.support.deadlines import PATIENCE, eventually
from tests.support.processes import PROJECT
from tests.support.recorded_events import by_subject, records
from tfo_mcp.application.commands import CreateKey, RevokeKey, RotateKey
from tfo_mcp.application.event_recorder import EventRecorder
from tfo_mcp.application.event_records import CURRENT_TRACE, EventRecords
from tfo_mcp.application.event_relay import EventRelay
from tfo_mcp.application.handlers.keys import KeyHandler
from tfo_mcp.application.ports import EventLogUnavailable, OutboxBatch, RecordedEvent
from tfo_mcp.application.unit_of_work import unit_of_work
from tfo_mcp.domain import events
from tfo_mcp.domain.conversation import Conversation, ModelSettings
from tfo_mcp.domain.errors import Conflict, StateUnavailable, StorageUnavailable
from tfo_mcp.domain.events import (
    CHANGES,
    LOGGED,
    SESSION_EVENTS,
    AuthenticationDecided,
    Change,
    DomainEvent,
    KeyRevoked,
    SessionClosed,
    SessionCreated,
    ToolExecuted,
)
from tfo_mcp.domain.ids import SessionId, new_session_id
from tfo_mcp.domain.interaction import NO_CAPABILITIES
from tfo_mcp.domain.session import Session
from tfo_mcp.infrastructure.state.event_log import MemoryEventLog, MemoryOutbox
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionStore
from tfo_mcp.infrastructure.storage.conversations import SqlConversationStore
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.keys import SqlKeyStore
from tfo_mcp.infrastructure.storage.outbox import SqlOutbox
from tfo_mcp.infrastructure.storage.sessions import SqlSessionStore

pytestmark = pytest.mark.anyio
IDLE = 60.0
LEASE = 0.5


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database with empty tables."""
    new = new_database(request.param, request)
    access_to(new).upgrade()
    return new


@dataclass
class Replica:
    """A process's session store and outbox on a database."""

    database: Database
    outbox: SqlOutbox
    store: SqlSessionStore
    recorder: EventRecorder

    @classmethod
    def on(cls, url: str, name: str = "one") -> "Replica":
        """Return a new replica."""
        database = access_to(url, PATIENCE).open(schema_is_known=True)
        outbox = SqlOutbox(database, name, LEASE)
        recorder = EventRecorder(MemoryEventBus(), outbox, EventRecords(), lambda: None, SESSION_EVENTS)
        return cls(database, outbox, SqlSessionStore(MemorySessionStore(IDLE), database, IDLE, recorder), recorder)

    async def change(self, session_id: SessionId, uri: str) -> None:
        """Subscribe a session, with an event for each change."""

        async def work() -> None:
            session = await self.store.get(session_id)
            assert session is not None
            session.subscriptions.add(uri)
            session._events.append(SessionCreated(session_id, uri))  # any event will do
            await self.store.put(session)

        await unit_of_work(work)


@asynccontextmanager
async def replicas(url: str, *names: str) -> AsyncIterator[list[Replica]]:
    """Yield replicas on a database."""
    found = [Replica.on(url, name) for name in names]
    try:
        yield found
    finally:
        for replica in found:
            await replica.database.aclose()


def new_session() -> Session:
    """Return a session that is not stored."""
    session = Session(new_session_id(), "owner", "key:owner")
    session.initialize("revision", NO_CAPABILITIES, "client", "1")
    return session


async def drained(outbox: SqlOutbox | MemoryOutbox) -> list[RecordedEvent]:
    """Return what is in an outbox, and empty it."""
    log = MemoryEventLog(10**6)
    relay = EventRelay(outbox, log, lambda _: None)
    await relay.aclose()
    return list(log.events)


class TestTransactions:
    async def test_a_session_is_stored_with_its_events_and_a_refused_change_leaves_none(self, url: str) -> None:
        async with replicas(url, "one", "other") as (here, there):
            session = new_session()
            await here.store.add(session, 10, 10)
            other = await there.store.get(session.id)
            assert other is not None
            other.confirm()
            await there.store.put(other)
            session.confirm()
            with pytest.raises(Conflict):
                await here.store.put(session)
            for store in (here.store, there.store):  # the second one finds nothing to delete
                await store.delete(session.id, [SessionClosed(session.id)])
            found = await drained(here.outbox)
            assert [event.type for event in found] == ["SessionCreated", "SessionInitialized", "SessionClosed"]
            assert len({event.subject for event in found}) == 1
            assert session.id not in repr(found)

    async def test_changes_of_replicas_at_once_are_recorded_once_each_and_in_the_order_of_the_changes(
        self, url: str
    ) -> None:
        async with replicas(url, "one", "other") as pair:
            session = new_session()
            await pair[0].store.add(session, 10, 10)
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(pair[number % 2].change, session.id, str(number))
            found = [event.data["version"] for event in await drained(pair[0].outbox)]
            assert sorted(found[1:], key=int) == [str(number) for number in range(8)]

    async def test_sessions_that_expire_are_recorded_by_the_process_that_deletes_them(self, url: str) -> None:
        async with replicas(url, "one", "other") as (here, there):
            await here.store.add(new_session(), 10, 10)
            await drained(here.outbox)
            await here.store.purge(-2 * IDLE)
            await there.store.purge(-2 * IDLE)
            assert [event.type for event in await drained(here.outbox)] == ["SessionClosed"]

    async def test_a_killed_process_leaves_the_events_of_exactly_what_it_stored(self, url: str) -> None:
        async with replicas(url, "reader") as (reader,):
            printed = set[tuple[str, ...]]()
            for _ in range(2):
                line = [sys.executable, "-m", "tests.integration.session_writer", url]
                with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as writer:
                    assert writer.stdout is not None
                    lines = [writer.stdout.readline() for _ in range(40)]
                    writer.kill()
                    lines += writer.stdout.read().splitlines()
                    printed |= {tuple(each.split()) for each in lines}
            with anyio.fail_after(PATIENCE):
                found = by_subject(await drained(reader.outbox))
            types = {subject: [event.type for event in events] for (_, subject), events in found.items()}
            assert all(types[digest][0] == "SessionCreated" for digest, what in printed if what == "open")
            assert all(len(types[digest]) == 2 for digest, what in printed if what == "closed")
            assert all(each in (["SessionCreated"], ["SessionCreated", "SessionClosed"]) for each in types.values())


class TestOtherAggregates:
    async def test_keys_and_their_events_are_stored_together(self, url: str) -> None:
        async with replicas(url, "one") as (here,):
            store = SqlKeyStore(here.database, EventRecords())
            handler = KeyHandler(store, lambda: b"pepper")
            issued = await handler.create(CreateKey("mine", (), None))
            renewed = await handler.rotate(RotateKey(issued.key.id, 0.0))
            await handler.revoke(RevokeKey(renewed.key.id))
            with pytest.raises(Conflict):
                await store.put(issued.key, events=[KeyRevoked(issued.key.id, issued.key.principal)])
            found = await drained(here.outbox)
            assert [(event.type, event.subject) for event in found] == [
                ("KeyCreated", issued.key.id),
                ("KeyRotated", issued.key.id),
                ("KeyCreated", renewed.key.id),
                ("KeyRevoked", renewed.key.id),
            ]
            assert not any(text in repr(found) for text in (issued.text, renewed.text, renewed.key.digest))

    async def test_a_conversation_is_stored_with_its_events(self, url: str) -> None:
        async with replicas(url, "one") as (here,):
            store = SqlConversationStore(here.database, IDLE, 10, EventRecords())
            conversation = Conversation.begin("key:alice", ModelSettings("claude", 100), 1.0)
            await store.put(conversation)
            conversation.edition = 7
            with pytest.raises(Conflict):
                await store.put(conversation)
            (event,) = await drained(here.outbox)
            assert (event.type, event.subject) == ("ConversationCreated", conversation.id)


@dataclass
class FragileLog(MemoryEventLog):
    """An event log that a test switches off, and that is killed after it has kept `kept` events of a batch."""

    kept: int | None = None
    is_down: bool = False
    asked: int = 0

    def __post_init__(self) -> None:
        MemoryEventLog.__init__(self, 10**6)

    async def append(self, events: Sequence[RecordedEvent]) -> None:
        """Keep all events, some of them, or none."""
        self.asked += 1
        if self.is_down:
            raise EventLogUnavailable("it is down")
        await super().append(events[: self.kept])
        if self.kept is not None:
            raise EventLogUnavailable("the connection broke")


class TestRelay:
    async def test_events_that_were_kept_before_a_failure_are_not_kept_twice(self, url: str) -> None:
        async with replicas(url, "one", "other") as (here, there):
            log, told = FragileLog(kept=3), list[str | None]()
            await here.outbox.put(some := records(10))
            async with anyio.create_task_group() as tasks:
                relay = EventRelay(here.outbox, log, told.append)
                tasks.start_soon(relay.run)
                await eventually(lambda: log.asked, "the log is asked")
                assert relay.lag_seconds >= 0
                tasks.cancel_scope.cancel()  # as if killed: the lease stays
            log.kept = None
            async with anyio.create_task_group() as tasks:
                relay = EventRelay(there.outbox, log, told.append)
                tasks.start_soon(relay.run)
                await eventually(lambda: len(log.events) == len(some), "the other process goes on")
                await eventually(lambda: relay.relayed == len(some), "the outbox is empty")
                tasks.cancel_scope.cancel()
            assert list(log.events) == some
            assert told == ["the connection broke"]

    async def test_two_relays_keep_the_order_of_each_aggregate(self, url: str) -> None:
        async with replicas(url, "one", "other") as pair:
            log = FragileLog()
            async with anyio.create_task_group() as tasks:
                for replica in pair:
                    tasks.start_soon(EventRelay(replica.outbox, log, lambda _: None).run)
                for number in range(30):
                    await pair[number % 2].outbox.put(records(3, f"tool{number % 5}"))
                    if number % 10 == 5:
                        await pair[0].outbox.release()
                await eventually(lambda: len(log.events) == 90, "all are kept")
                tasks.cancel_scope.cancel()
            for some in by_subject(log.events).values():
                numbers = [int(event.id.rpartition("-")[2], 16) for event in some]
                assert numbers == sorted(numbers)


@dataclass
class FullOutbox:
    """An outbox that cannot be written until the test says so."""

    is_full: bool = True
    held: MemoryOutbox = field(default_factory=lambda: MemoryOutbox(10**6))

    async def put(self, events: Sequence[RecordedEvent]) -> None:
        """Add events, unless the outbox is full."""
        if self.is_full:
            raise StorageUnavailable("the disk is full")
        await self.held.put(events)

    async def oldest(self, limit: int) -> OutboxBatch:
        """Return the oldest events."""
        return await self.held.oldest(limit)

    async def remove(self, batch: OutboxBatch) -> None:
        """Remove events."""
        await self.held.remove(batch)

    async def release(self) -> None:
        """Do nothing."""


class TestRecorder:
    async def test_events_wait_while_the_outbox_fails_and_those_beyond_the_bound_are_counted(self) -> None:
        outbox = FullOutbox()
        recorder = EventRecorder(MemoryEventBus(), outbox, EventRecords(), lambda: None, (), 0.0, 10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            for number in range(15):
                recorder.publish(ToolExecuted(str(number), False, 0.0))
            assert (recorder.waiting, recorder.dropped) == (10, 5)
            with pytest.raises(StateUnavailable):
                await recorder.written()
            outbox.is_full = False
            await recorder.written()
            assert recorder.waiting == 0
            tasks.cancel_scope.cancel()
        found = await drained(outbox.held)
        assert [event.subject for event in found] == [str(number) for number in range(10)]

    async def test_the_end_of_a_server_records_what_is_left(self) -> None:
        outbox = MemoryOutbox(10)
        recorder = EventRecorder(MemoryEventBus(), outbox, EventRecords(), lambda: None)
        recorder.publish(ToolExecuted("echo", False, 0.0))
        await recorder.aclose()
        assert [event.subject for event in await drained(outbox)] == ["echo"]

    async def test_a_full_outbox_in_memory_drops_the_oldest(self) -> None:
        outbox = MemoryOutbox(3)
        await outbox.put(some := records(5))
        assert outbox.dropped == 2
        batch = await outbox.oldest(2)
        await outbox.put(late := records(1))
        await outbox.remove(batch)
        assert await drained(outbox) == [some[4], *late]

    async def test_a_record_has_the_trace_of_its_call_and_no_session_id(self) -> None:
        sent = f"00-{'a' * 32}-{'b' * 16}-01"
        token = CURRENT_TRACE.set(sent)
        session_id = new_session_id()
        record = EventRecords(clock=lambda: 5.0).of(SessionCreated(session_id, "revision"))
        CURRENT_TRACE.reset(token)
        assert (record.type, record.aggregate, record.time, record.traceparent) == (
            "SessionCreated",
            "session",
            5.0,
            sent,
        )
        assert record.data == {"session": record.subject, "version": "revision"}
        assert session_id not in str(record)

    def test_of_decisions_only_refusals_are_recorded(self) -> None:
        decisions = [AuthenticationDecided(True, "key"), AuthenticationDecided(False, "none")]
        assert [record.data["allowed"] for record in EventRecords().of_all(decisions)] == [False]


def test_every_event_has_a_consumer() -> None:
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, DomainEvent)}
    of_servers = {events.ReloadRequested}  # each of them listens
    assert kinds - {DomainEvent, Change} == {*LOGGED, *CHANGES, *of_servers}
