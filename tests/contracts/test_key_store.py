"""The contract of KeyStore."""

import asyncio
from dataclasses import replace
from time import monotonic

import anyio
import pytest

from tests.support.deadlines import LOOK_AGAIN
from tfo_mcp.application.ports import KeyStore
from tfo_mcp.domain.errors import Conflict
from tfo_mcp.domain.keys import ApiKey

pytestmark = pytest.mark.anyio

STALE_SECONDS = 1.0
KeyStores = tuple[KeyStore, KeyStore]


def key_of(key_id: str, created: float = 1.0) -> ApiKey:
    """Return a key that is not stored yet, with all fields set."""
    scopes = frozenset({"tools:read", "tool:echo"})
    return ApiKey(key_id, f"name é {key_id}", "principal", "digest", scopes, created, created + 0.25, None)


async def test_an_unknown_key_is_none(key_stores: KeyStores) -> None:
    store, _ = key_stores
    assert await store.get("unknown") is None
    assert list(await store.list()) == []
    assert store.works()


async def test_a_key_comes_back_whole_with_its_version(key_stores: KeyStores) -> None:
    here, there = key_stores
    await here.put(key_of("a"))
    for store in (here, there):
        assert await store.get("a") == replace(key_of("a"), version=1)


async def test_a_key_is_not_changed_by_others(key_stores: KeyStores) -> None:
    store, _ = key_stores
    await store.put(key_of("a"))
    first = await store.get("a")
    await store.put(key_of("b"))
    assert await store.get("b") is not None
    assert await store.get("a") == first


async def test_keys_are_listed_in_order_of_creation(key_stores: KeyStores) -> None:
    here, there = key_stores
    await here.put(key_of("c", 3.0), key_of("a", 1.0))
    await there.put(key_of("b", 2.0))
    for store in (here, there):
        assert [key.id for key in await store.list()] == ["a", "b", "c"]


async def test_a_change_elsewhere_is_seen_within_a_second(key_stores: KeyStores) -> None:
    here, there = key_stores
    await here.put(key_of("a"))
    known = await there.get("a")
    assert known is not None
    assert known.revoked is None
    found = await here.get("a")
    assert found is not None
    await here.put(found.ended(9.0))
    changed = monotonic()
    while (seen := await there.get("a")) is not None and seen.revoked is None:
        assert monotonic() - changed < STALE_SECONDS
        await anyio.sleep(LOOK_AGAIN)
    assert seen == replace(found.ended(9.0), version=2)


async def test_a_change_of_an_older_version_is_refused_and_changes_nothing(key_stores: KeyStores) -> None:
    here, there = key_stores
    await here.put(key_of("a", 1.0), key_of("b", 2.0))
    old, other = await there.get("a"), await there.get("b")
    assert old is not None
    assert other is not None
    await here.put(old.ended(9.0))
    with pytest.raises(Conflict):
        await there.put(other.ended(8.0), old.expiring(5.0))
    assert [key.revoked for key in await here.list()] == [9.0, None]
    assert [key.revoked for key in await there.list()] == [9.0, None]


async def test_a_new_key_does_not_replace_an_old_one(key_stores: KeyStores) -> None:
    here, there = key_stores
    await here.put(key_of("a"))
    with pytest.raises(Conflict):
        await there.put(key_of("b"), replace(key_of("a"), digest="another"))
    assert await here.get("b") is None
    assert await there.get("a") == replace(key_of("a"), version=1)


async def test_concurrent_changes_of_different_keys_are_all_kept(key_stores: KeyStores) -> None:
    names = [f"key{number}" for number in range(10)]
    await asyncio.gather(*(key_stores[number % 2].put(key_of(name)) for number, name in enumerate(names)))
    for store in key_stores:
        assert {key.id for key in await store.list()} == set(names)


async def test_of_concurrent_changes_of_one_key_one_wins(key_stores: KeyStores) -> None:
    here, there = key_stores
    await here.put(key_of("a"))
    known = await there.get("a")
    assert known is not None
    changes = [store.put(known.ended(float(number))) for number, store in enumerate([here, there] * 3)]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 5 + ["NoneType"]
    found = await here.get("a")
    assert found is not None
    assert found.version == 2
