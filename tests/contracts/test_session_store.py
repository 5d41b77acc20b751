"""The contract of SessionStore."""

from collections.abc import Callable

import anyio
import pytest

from tests.contracts.conftest import SessionStores
from tfo_mcp.application.ports import Room, SessionStore
from tfo_mcp.domain.errors import Conflict, SessionNotFound
from tfo_mcp.domain.ids import SessionId, new_session_id
from tfo_mcp.domain.interaction import ClientCapabilities
from tfo_mcp.domain.session import Session, SessionState

pytestmark = pytest.mark.anyio


def session_of(owner: str = "owner", *, standing: bool = False) -> Session:
    """Return a ready session with all fields set, charged to its owner's account."""
    session = Session(new_session_id(), owner, f"key:{owner}", standing)
    declared = ClientCapabilities(
        sampling=True, forms=True, extensions=("a/b", "c/d"), extension_settings='{"a/b":{"é":["\\u0000",1]}}'
    )
    session.initialize("revision", declared, "client é", "1.0")
    session.confirm()
    session.log_level = "warning"
    session.subscriptions.update({"a://1", "a://2"})
    session.collect_events()
    return session


async def test_an_unknown_session_is_none(sessions: SessionStores) -> None:
    assert await sessions.store.get(SessionId("unknown")) is None
    assert await sessions.store.count() == 0


async def test_a_session_comes_back_whole(sessions: SessionStores) -> None:
    session = session_of()
    await sessions.store.put(session)
    found = await sessions.store.get(session.id)
    assert found == session
    assert found is not None
    assert (found.state, found.subscriptions) == (SessionState.READY, {"a://1", "a://2"})


async def test_sessions_are_kept_apart(sessions: SessionStores) -> None:
    first, second = session_of("one"), session_of("two")
    await sessions.store.put(first)
    await sessions.store.put(second)
    found = [await sessions.store.get(session.id) for session in (first, second)]
    assert [session.owner for session in found if session is not None] == ["one", "two"]
    assert await sessions.store.count() == 2


async def test_the_latest_put_counts(sessions: SessionStores) -> None:
    session = session_of()
    await sessions.store.put(session)
    session.close()
    session.subscriptions.discard("a://1")
    await sessions.store.put(session)
    found = await sessions.store.get(session.id)
    assert found is not None
    assert (found.state, found.subscriptions) == (SessionState.CLOSING, {"a://2"})
    assert await sessions.store.count() == 1


async def test_a_deleted_session_is_gone_and_deleting_it_again_is_no_error(sessions: SessionStores) -> None:
    session = session_of()
    await sessions.store.put(session)
    for _ in range(2):
        await sessions.store.delete(session.id)
    assert await sessions.store.get(session.id) is None
    assert await sessions.store.count() == 0


async def test_sessions_are_counted_by_account(sessions: SessionStores) -> None:
    store = sessions.store
    first, second, other = session_of("one"), session_of("one"), session_of("two")
    for session in (first, second, other):
        await store.put(session)
    assert [await store.count(account) for account in ("key:one", "key:two", "key:nobody")] == [2, 1, 0]
    first.close()
    await store.put(first)
    assert await store.count("key:one") == 2
    for _ in range(2):
        await store.delete(first.id)
    assert [await store.count(account) for account in ("key:one", "key:two", None)] == [1, 1, 2]
    await store.delete(second.id)
    await store.delete(SessionId("unknown"))
    assert [await store.count(account) for account in ("key:one", "key:two", None)] == [0, 1, 1]


async def test_a_reaped_session_counts_for_its_account_no_longer(sessions: SessionStores) -> None:
    store = sessions.store
    for owner in ("one", "one", "two"):
        await store.put(session_of(owner))
    await sessions.grow_old()
    await store.put(session_of("one"))
    await store.reap()
    assert [await store.count(account) for account in ("key:one", "key:two", None)] == [1, 0, 1]


async def test_nothing_is_reaped_before_its_time(sessions: SessionStores) -> None:
    session = session_of()
    await sessions.store.put(session)
    assert list(await sessions.store.reap()) == []
    assert await sessions.store.get(session.id) is not None


async def test_a_session_that_was_idle_too_long_is_none_and_reaped_once(sessions: SessionStores) -> None:
    old, young = session_of(), session_of()
    await sessions.store.put(old)
    await sessions.grow_old()
    await sessions.store.put(young)
    assert await sessions.store.get(old.id) is None
    assert list(await sessions.store.reap()) == [old.id]
    assert list(await sessions.store.reap()) == []
    assert await sessions.store.get(young.id) is not None
    assert await sessions.store.count() == 1


async def test_the_idle_sessions_of_an_account_are_listed_longest_unused_first(sessions: SessionStores) -> None:
    store = sessions.store
    first, second, third = session_of("one"), session_of("one"), session_of("one")
    for session in (first, session_of("one", standing=True), second, session_of("two"), third):
        await store.put(session)
    await store.get(first.id)
    assert list(await store.oldest_idle("key:one", 10)) == [second.id, third.id, first.id]
    assert list(await store.oldest_idle("key:one", 1)) == [second.id]
    assert list(await store.oldest_idle("key:nobody", 1)) == []


async def test_the_largest_account_is_known_and_that_of_networks_apart(sessions: SessionStores) -> None:
    store = sessions.store
    assert await store.largest_account(anonymous=False) is None
    for owner in ("one", "two", "two"):
        await store.put(session_of(owner))
    anonymous = Session(new_session_id(), "anonymous", "network:192.0.2.1")
    await store.put(anonymous)
    assert await store.largest_account(anonymous=False) == "key:two"
    assert await store.largest_account(anonymous=True) == "network:192.0.2.1"
    await store.delete(anonymous.id)
    assert await store.largest_account(anonymous=True) is None


async def test_a_new_session_is_stored_only_while_there_is_room_for_it(sessions: SessionStores) -> None:
    store = sessions.store
    assert [await store.add(session_of("one"), 2, 3) for _ in range(3)] == [Room.FREE, Room.FREE, Room.ACCOUNT]
    assert [await store.add(session_of("two"), 2, 3) for _ in range(2)] == [Room.FREE, Room.TOTAL]
    assert [await store.count(account) for account in ("key:one", "key:two", None)] == [2, 1, 3]


async def test_no_more_sessions_than_the_limit_are_added_at_once_by_two_replicas(sessions: SessionStores) -> None:
    rooms: list[Room] = []

    async def add(store: SessionStore, standing: bool) -> None:
        rooms.append(await store.add(session_of(standing=standing), 5, 100))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(add, sessions.store if number % 2 else sessions.other, number % 3 == 0)
    assert rooms.count(Room.FREE) == 5
    assert await sessions.store.count("key:owner") == 5


async def test_sessions_with_their_own_connection_count_for_all_replicas_until_they_end(
    sessions: SessionStores,
) -> None:
    standing = session_of(standing=True)
    assert await sessions.store.add(standing, 2, 10) is Room.FREE
    assert await sessions.store.get(standing.id) is standing
    assert await sessions.other.count("key:owner") == 1
    assert [await sessions.other.add(session_of(), 2, 10) for _ in range(2)] == [Room.FREE, Room.ACCOUNT]
    await sessions.store.delete(standing.id)
    assert [await sessions.store.add(session_of(), 2, 10) for _ in range(2)] == [Room.FREE, Room.ACCOUNT]


@pytest.mark.parametrize("account", ["key:ü ö", "network:2001:db8::/64", "token:a:b c", "key:" + "x" * 300])
async def test_an_account_may_have_any_name(sessions: SessionStores, account: str) -> None:
    session = Session(new_session_id(), "owner", account)
    assert await sessions.store.add(session, 1, 1) is Room.FREE
    found = await sessions.other.get(session.id)
    assert found is not None
    assert found.account == account
    assert list(await sessions.other.oldest_idle(account, 1)) == [session.id]
    await sessions.grow_old()
    assert list(await sessions.other.reap()) == [session.id]
    assert await sessions.store.count(account) == 0


async def changed(store: SessionStore, session_id: SessionId, change: Callable[[Session], object]) -> None:
    """Change a session as the handler does: again, if another has changed it meanwhile."""
    while True:
        session = await store.get(session_id)
        assert session is not None
        change(session)
        try:
            await store.put(session)
            return
        except Conflict:
            continue


async def test_changes_that_replicas_make_at_once_are_all_kept(sessions: SessionStores) -> None:
    session = session_of()
    session.subscriptions.clear()
    await sessions.store.put(session)
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            store = sessions.store if number % 2 else sessions.other
            uri = f"a://{number}"
            tasks.start_soon(changed, store, session.id, lambda found, uri=uri: found.subscriptions.add(uri))
    found = await sessions.store.get(session.id)
    assert found is not None
    assert found.subscriptions == {f"a://{number}" for number in range(10)}


async def test_a_session_that_another_replica_has_ended_does_not_come_back(
    redis_sessions: tuple[SessionStore, SessionStore],
) -> None:
    store, other = redis_sessions
    await store.put(session := session_of())
    loaded = await other.get(session.id)
    assert loaded is not None
    await store.delete(session.id)
    with pytest.raises(SessionNotFound):
        await other.put(loaded)
    assert await store.get(session.id) is None


async def test_only_one_replica_reaps_a_session(sessions: SessionStores) -> None:
    for _ in range(5):
        await sessions.store.put(session_of())
    await sessions.grow_old()
    reaped = [*await sessions.store.reap(), *await sessions.other.reap()]
    assert len(reaped) == len(set(reaped)) == 5
