"""State in memory: expiry by an injected clock, bounded streams, and event listeners that cannot block others."""

import pytest
from structlog.testing import capture_logs

from tfo_mcp.application.ports import StreamId
from tfo_mcp.domain.events import PromptRegistered, ToolRegistered
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.session import Session
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog

pytestmark = pytest.mark.anyio

IDLE = 60.0
HISTORY = 3
ACCOUNT_BYTES = 10_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def store_of(clock: Clock, *names: str) -> MemorySessionStore:
    """Return a store with sessions that have these ids."""
    store = MemorySessionStore(IDLE, clock)
    for name in names:
        await store.put(Session(SessionId(name), "owner", "key:owner"))
    return store


class TestSessionExpiry:
    @pytest.mark.parametrize(("idle", "found"), [(0.0, True), (IDLE - 1, True), (IDLE, True), (IDLE + 0.001, False)])
    async def test_a_session_lives_as_long_as_its_idle_time(self, idle: float, found: bool) -> None:
        clock = Clock()
        store = await store_of(clock, "a")
        clock.now += idle
        assert (await store.get(SessionId("a")) is not None) is found

    async def test_getting_and_putting_start_the_idle_time_anew(self) -> None:
        clock = Clock()
        store = await store_of(clock, "a", "b")
        for _ in range(3):
            clock.now += IDLE - 1
            assert await store.get(SessionId("a")) is not None
            await store.put(Session(SessionId("b"), "owner", "key:owner"))
        clock.now += IDLE
        assert await store.get(SessionId("b")) is not None

    async def test_an_expired_session_is_not_woken_by_asking_for_it(self) -> None:
        clock = Clock()
        store = await store_of(clock, "a")
        clock.now += IDLE + 1
        for _ in range(2):
            assert await store.get(SessionId("a")) is None
        assert list(await store.reap()) == [SessionId("a")]

    async def test_reaping_takes_the_expired_ones_once_longest_idle_first(self) -> None:
        clock = Clock()
        store = await store_of(clock, "a", "b", "c")
        clock.now += IDLE / 2
        await store.get(SessionId("a"))
        clock.now += IDLE / 2 + 1
        assert list(await store.reap()) == [SessionId("b"), SessionId("c")]
        assert list(await store.reap()) == []
        assert await store.count() == 1


class TestStreamBounds:
    async def test_a_stream_keeps_its_latest_frames_under_their_numbers(self) -> None:
        log = MemoryStreamLog(HISTORY, ACCOUNT_BYTES)
        stream = StreamId(SessionId("a"), "one")
        await log.create(stream, "key:owner")
        for number in range(1, 6):
            assert await log.append(stream, b"%d" % number) == number
        await log.finish(stream)
        assert [found async for found in log.follow(stream, 0)] == [(3, b"3"), (4, b"4"), (5, b"5")]

    async def test_finished_streams_go_when_a_session_has_too_many(self) -> None:
        log = MemoryStreamLog(HISTORY, ACCOUNT_BYTES, kept_streams=2)
        streams = [StreamId(SessionId("a"), str(number)) for number in range(4)]
        for stream in streams:
            await log.create(stream, "key:owner")
            await log.finish(stream)
        assert [await log.exists(stream) for stream in streams] == [False, False, True, True]

    async def test_a_stream_that_is_not_finished_never_goes(self) -> None:
        log = MemoryStreamLog(HISTORY, ACCOUNT_BYTES, kept_streams=2)
        streams = [StreamId(SessionId("a"), str(number)) for number in range(5)]
        for stream in streams:
            await log.create(stream, "key:owner")
        assert all([await log.exists(stream) for stream in streams])


async def kept(log: MemoryStreamLog, *streams: StreamId) -> list[int]:
    """Finish each stream and return the number of frames that it keeps."""
    found = []
    for stream in streams:
        await log.finish(stream)
        found.append(len([number async for number, _ in log.follow(stream, 0)]))
    return found


class TestAccountBounds:
    async def test_the_oldest_frames_of_an_account_go_over_all_of_its_sessions(self) -> None:
        log = MemoryStreamLog(HISTORY, ACCOUNT_BYTES)
        streams = [StreamId(SessionId(str(number)), "one") for number in range(5)]
        other = StreamId(SessionId("other"), "one")
        await log.create(other, "key:other")
        await log.append(other, b"x" * 3000)
        for stream in streams:
            await log.create(stream, "key:greedy")
            await log.append(stream, b"x" * 3000)
        assert await kept(log, *streams, other) == [0, 0, 1, 1, 1, 1]

    async def test_small_frames_count_for_more_than_their_bytes(self) -> None:
        log = MemoryStreamLog(100, ACCOUNT_BYTES)
        stream = StreamId(SessionId("a"), "one")
        await log.create(stream, "key:greedy")
        for _ in range(100):
            await log.append(stream, b"")
        assert await kept(log, stream) == [ACCOUNT_BYTES // 128]

    async def test_the_largest_account_makes_room_when_all_have_too_much(self) -> None:
        log = MemoryStreamLog(HISTORY, ACCOUNT_BYTES)
        size = 4000
        large = StreamId(SessionId("large"), "one")
        await log.create(large, "key:large")
        for _ in range(2):
            await log.append(large, b"x" * size)
        small = [StreamId(SessionId(f"small {number}"), "one") for number in range(37)]
        for number, stream in enumerate(small):
            await log.create(stream, f"key:{number}")
            await log.append(stream, b"x" * size)
        assert await kept(log, large, *small[-20:]) == [1, *[1] * 20]

    async def test_a_session_that_is_forgotten_is_charged_no_longer(self) -> None:
        log = MemoryStreamLog(HISTORY, ACCOUNT_BYTES)
        first, second = StreamId(SessionId("a"), "one"), StreamId(SessionId("b"), "one")
        await log.create(first, "key:owner")
        await log.append(first, b"x" * 9000)
        await log.forget(first.session_id)
        await log.create(second, "key:owner")
        for _ in range(2):
            await log.append(second, b"x" * 4000)
        assert await kept(log, second) == [2]


class TestEventListeners:
    async def test_one_that_fails_does_not_hinder_the_others(self) -> None:
        bus, heard = MemoryEventBus(), list[ToolRegistered]()

        def fail(event: ToolRegistered) -> None:
            raise LookupError(event.name)

        bus.subscribe([ToolRegistered], fail)
        bus.subscribe([ToolRegistered], heard.append)
        with capture_logs() as logged:
            bus.publish(ToolRegistered("a"))
        assert heard == [ToolRegistered("a")]
        assert [line["event"] for line in logged] == ["an event listener failed"]

    async def test_one_may_leave_while_it_is_told(self) -> None:
        bus, heard = MemoryEventBus(), list[str]()

        def once(event: ToolRegistered) -> None:
            heard.append(event.name)
            leave()

        leave = bus.subscribe([ToolRegistered], once)
        bus.subscribe([ToolRegistered], lambda event: heard.append(f"other {event.name}"))
        bus.publish(ToolRegistered("a"))
        bus.publish(ToolRegistered("b"))
        bus.publish(PromptRegistered("p"))
        assert heard == ["a", "other a", "other b"]
