"""Each resource is watched once, as long as it has a subscriber."""

from collections.abc import Callable

import anyio
import pytest

from tests.support.watchers import ToldWatcher
from tfo_mcp.application.budgets import Budget
from tfo_mcp.application.catalog import Catalog
from tfo_mcp.application.changes import ChangeFilter
from tfo_mcp.application.commands import WatchChanges
from tfo_mcp.application.handlers.resources import ResourceHandler
from tfo_mcp.application.handlers.subscriptions import SubscriptionHandler
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.domain.access import OWNER, Caller
from tfo_mcp.domain.errors import OperationFailed, RateLimited
from tfo_mcp.domain.events import ResourceUpdated, SessionClosed
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.infrastructure.state.events import MemoryEventBus

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def events() -> MemoryEventBus:
    return MemoryEventBus()


@pytest.fixture
def watcher() -> ToldWatcher:
    return ToldWatcher()


@pytest.fixture
def resources(watcher: ToldWatcher, events: MemoryEventBus) -> WatchedResources:
    return WatchedResources(watcher, events, Budget("subscriptions", 1500, 10_000, "limits.subscriptions"))


async def test_what_several_hold_is_watched_once_until_the_last_lets_go(
    resources: WatchedResources, watcher: ToldWatcher
) -> None:
    for holder in ("one", "two", "two"):
        await resources.hold(holder, "key:one", ["file:///a", "file:///b"])
    assert watcher.uris == ["file:///a", "file:///b"]
    resources.release("one")
    resources.release("two", "file:///a")
    assert watcher.uris == ["file:///b"]
    resources.release("two", "file:///none")
    resources.release("two")
    resources.release("two")
    assert watcher.uris == []


async def test_a_session_that_is_closed_anywhere_lets_go(
    resources: WatchedResources, watcher: ToldWatcher, events: MemoryEventBus
) -> None:
    for session in ("one", "two"):
        await resources.hold(SessionId(session), "key:one", [f"file:///{session}", "file:///both"])
    events.publish(SessionClosed(SessionId("one")))
    assert watcher.uris == ["file:///both", "file:///two"]
    events.publish(SessionClosed(SessionId("none")))
    events.publish(SessionClosed(SessionId("two")))
    assert watcher.uris == []


async def test_one_that_lets_go_while_its_watch_begins_can_let_go_again(
    resources: WatchedResources, watcher: ToldWatcher
) -> None:
    watcher.begins = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(resources.hold, "one", "key:one", ["file:///a"])
        await anyio.wait_all_tasks_blocked()
        resources.release("one")
        watcher.begins.set()
    resources.release("one")
    assert watcher.uris == []


async def test_nobody_holds_so_much_that_others_have_no_room(resources: WatchedResources, watcher: ToldWatcher) -> None:
    watcher.most = 5000
    with pytest.raises(
        OperationFailed, match=r"^The limit of 1024 subscribed resources is reached: end other subscriptions$"
    ):
        await resources.hold("greedy", "key:one", [f"file:///{number}" for number in range(2000)])
    await resources.hold("other", "key:one", ["file:///a"])
    assert len(watcher.watched) == 1025
    resources.release("greedy")
    assert watcher.uris == ["file:///a"]


async def test_an_account_has_its_share_over_all_of_its_holders(
    resources: WatchedResources, watcher: ToldWatcher
) -> None:
    watcher.most = 5000
    for holder in ("one", "two"):
        await resources.hold(holder, "key:greedy", [f"file:///{holder}{number}" for number in range(700)])
    with pytest.raises(RateLimited, match=r"limits\.subscriptions"):
        await resources.hold("three", "key:greedy", [f"file:///three{number}" for number in range(700)])
    await resources.hold("other", "key:other", ["file:///a"])
    for holder in ("one", "two", "three"):
        resources.release(holder)
    assert watcher.uris == ["file:///a"]
    await resources.hold("one", "key:greedy", [f"file:///{number}" for number in range(1000)])


async def test_those_who_come_at_once_share_a_watch(resources: WatchedResources, watcher: ToldWatcher) -> None:
    async with anyio.create_task_group() as tasks:
        for holder in range(20):
            tasks.start_soon(resources.hold, holder, "key:one", ["file:///a"])
    assert watcher.uris == ["file:///a"]
    for holder in range(20):
        resources.release(holder)
    assert watcher.uris == []


async def test_a_change_is_an_event_once(
    resources: WatchedResources, watcher: ToldWatcher, events: MemoryEventBus
) -> None:
    heard: list[ResourceUpdated] = []
    events.subscribe([ResourceUpdated], heard.append)
    await resources.hold("one", "key:one", ["file:///a"])
    await resources.hold("two", "key:one", ["file:///a", "file:///b"])
    watcher.change("file:///a")
    assert heard == [ResourceUpdated("file:///a")]


def readable(events: MemoryEventBus) -> Callable[[str, Caller], None]:
    return ResourceHandler(Catalog(), Catalog(), events, 10).require_scopes


async def test_a_feed_has_its_resources_watched_until_it_is_closed(
    resources: WatchedResources, watcher: ToldWatcher, events: MemoryEventBus
) -> None:
    handler = SubscriptionHandler(events, resources, readable(events))
    feed = await handler.watch(WatchChanges(ChangeFilter(frozenset(), frozenset({"file:///a"})), OWNER, "owner"))
    watcher.change("file:///a")
    assert feed.take() == (ResourceUpdated("file:///a"),)
    feed.close()
    assert watcher.uris == []


async def test_a_feed_that_cannot_have_all_it_asks_for_has_nothing_watched(
    resources: WatchedResources, watcher: ToldWatcher, events: MemoryEventBus
) -> None:
    watcher.most = 1
    wanted = frozenset({"file:///a", "file:///b"})
    handler = SubscriptionHandler(events, resources, readable(events))
    with pytest.raises(OperationFailed, match="too many"):
        await handler.watch(WatchChanges(ChangeFilter(frozenset(), wanted), OWNER, "owner"))
    assert watcher.uris == []
