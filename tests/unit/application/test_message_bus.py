"""The bus selects the handler by the exact type of a message; the change feed collects changes."""

from dataclasses import dataclass

import anyio
import pytest

from tfo_mcp.application.bus import Bus, Command, Query
from tfo_mcp.application.changes import ChangeFeed, ChangeFilter
from tfo_mcp.domain.events import (
    Change,
    PromptRegistered,
    ResourceRegistered,
    ResourceUpdated,
    ToolExecuted,
    ToolRegistered,
    ToolRemoved,
    Topic,
)
from tfo_mcp.infrastructure.state.events import MemoryEventBus

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Double(Query[int]):
    """Twice the number."""

    number: int


@dataclass(frozen=True)
class Forget(Command[None]):
    """Forget everything."""


class TestBus:
    async def test_a_message_is_answered_by_the_handler_of_its_type(self) -> None:
        async def double(query: Double) -> int:
            return 2 * query.number

        bus = Bus()
        bus.register(Double, double)
        assert await bus.handle(Double(21)) == 42

    async def test_a_message_that_nobody_handles_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            await Bus().handle(Forget())

    async def test_a_type_has_one_handler(self) -> None:
        async def forget(_: Forget) -> None:
            return None

        bus = Bus()
        bus.register(Forget, forget)
        with pytest.raises(ValueError, match="Forget already has a handler"):
            bus.register(Forget, forget)

    async def test_what_the_handler_raises_reaches_the_asker(self) -> None:
        async def fail(_: Forget) -> None:
            raise LookupError("nothing to forget")

        bus = Bus()
        bus.register(Forget, fail)
        with pytest.raises(LookupError, match="nothing to forget"):
            await bus.handle(Forget())


def feed(events: MemoryEventBus, *topics: Topic, uris: frozenset[str] | None = frozenset()) -> ChangeFeed:
    """Return a feed of these topics and of the updates of these resources."""
    return ChangeFeed(events, ChangeFilter(frozenset(topics), uris))


async def fetched(changes: ChangeFeed) -> tuple[Change, ...]:
    """Return the changes in the feed, which must not be empty."""
    with anyio.fail_after(5):
        return await changes.next()


class TestChangeFeed:
    async def test_changes_of_one_topic_are_one_change_until_they_are_fetched(self) -> None:
        events = MemoryEventBus()
        changes = feed(events, "tools", "prompts")
        for event in (ToolRegistered("a"), PromptRegistered("p"), ToolRemoved("a"), ToolRegistered("b")):
            events.publish(event)
        assert [change.topic for change in await fetched(changes)] == ["tools", "prompts"]

    async def test_after_a_fetch_only_what_is_new_is_fetched(self) -> None:
        events = MemoryEventBus()
        changes = feed(events, "tools")
        events.publish(ToolRegistered("a"))
        await fetched(changes)
        events.publish(ToolRegistered("b"))
        assert await fetched(changes) == (ToolRegistered("b"),)

    async def test_a_listener_that_is_set_late_hears_of_the_changes_before(self) -> None:
        events, calls = MemoryEventBus(), list[str]()
        changes = feed(events, "tools")
        changes.call(lambda: calls.append("first"))
        assert calls == []
        events.publish(ToolRegistered("a"))
        changes.call(lambda: calls.append("second"))
        assert calls == ["first", "second"]
        changes.take()
        changes.call(lambda: calls.append("third"))
        assert calls == ["first", "second"]

    async def test_a_fetch_waits_for_a_change(self) -> None:
        events = MemoryEventBus()
        changes = feed(events, "tools")
        async with anyio.create_task_group() as tasks:
            found: list[tuple[Change, ...]] = []

            async def fetch() -> None:
                found.append(await fetched(changes))

            tasks.start_soon(fetch)
            await anyio.wait_all_tasks_blocked()
            assert not found
            events.publish(ToolRegistered("a"))
        assert found == [(ToolRegistered("a"),)]

    async def test_other_topics_and_other_events_do_not_pass(self) -> None:
        events = MemoryEventBus()
        changes = feed(events, "tools")
        for event in (PromptRegistered("p"), ResourceRegistered("a://b"), ToolExecuted("t", False, 0.1)):
            events.publish(event)
        events.publish(ResourceUpdated("a://b"))
        events.publish(ToolRegistered("t"))
        assert await fetched(changes) == (ToolRegistered("t"),)

    @pytest.mark.parametrize(
        ("uris", "passed"),
        [(frozenset({"a://1"}), ["a://1"]), (None, ["a://1", "a://2"]), (frozenset({"a://2", "a://3"}), ["a://2"])],
    )
    async def test_updates_pass_by_their_uri_each_once(self, uris: frozenset[str] | None, passed: list[str]) -> None:
        events = MemoryEventBus()
        changes = feed(events, uris=uris)
        for uri in ("a://1", "a://2", "a://1"):
            events.publish(ResourceUpdated(uri))
        assert [change.uri for change in await fetched(changes) if isinstance(change, ResourceUpdated)] == passed

    async def test_a_reader_who_never_comes_costs_one_entry_a_topic(self) -> None:
        events = MemoryEventBus()
        changes = feed(events, "tools")
        for number in range(10_000):
            events.publish(ToolRegistered(str(number)))
        assert len(await fetched(changes)) == 1

    async def test_a_closed_feed_hears_nothing(self) -> None:
        events = MemoryEventBus()
        changes = feed(events, "tools")
        changes.close()
        events.publish(ToolRegistered("a"))
        with anyio.move_on_after(0) as scope:
            await changes.next()
        assert scope.cancelled_caught
