"""The contract of SessionStore."""

import pytest

from tests.contracts.conftest import SessionStores
from tfo_mcp.domain.ids import SessionId, new_session_id
from tfo_mcp.domain.interaction import ClientCapabilities
from tfo_mcp.domain.session import Session, SessionState

pytestmark = pytest.mark.anyio


def session_of(owner: str = "owner", *, standing: bool = False) -> Session:
    """Return a ready session with all fields set, charged to its owner's account."""
    session = Session(new_session_id(), owner, f"key:{owner}", standing)
    session.initialize("revision", ClientCapabilities(sampling=True, forms=True), "client é", "1.0")
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
