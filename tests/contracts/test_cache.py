"""The contract of Cache: values live for a while, and one of several callers makes a missing one."""

import anyio
import pytest

from tests.support.deadlines import eventually
from tfo_mcp.application.ports import Cache, Lookup
from tfo_mcp.infrastructure.redis.cache import RedisCache
from tfo_mcp.infrastructure.state.cache import MemoryCache

pytestmark = pytest.mark.anyio

Caches = tuple[Cache, Cache]
LONG, SHORT = 60.0, 0.2  # seconds


async def test_the_first_caller_makes_the_value_and_all_others_get_it(caches: Caches) -> None:
    one, other = caches
    assert await one.look_up("key", "first", LONG) == Lookup(None, "first")
    assert await other.look_up("key", "second", LONG) == Lookup(None, "first")
    await one.settle("key", "first", b"\0value\xff", LONG)
    for cache in caches:
        assert await cache.look_up("key", "third", LONG) == Lookup(b"\0value\xff", "")
    assert (await other.look_up("another", "second", LONG)).maker == "second"


async def test_an_empty_value_is_a_value(caches: Caches) -> None:
    await caches[0].look_up("key", "first", LONG)
    await caches[0].settle("key", "first", b"", LONG)
    assert await caches[1].look_up("key", "second", LONG) == Lookup(b"", "")


async def test_after_a_failure_the_next_caller_makes_the_value(caches: Caches) -> None:
    one, other = caches
    await one.look_up("key", "first", LONG)
    await one.settle("key", "first", None, LONG)
    assert await other.look_up("key", "second", LONG) == Lookup(None, "second")


async def test_a_claim_ends_by_itself(caches: Caches) -> None:
    """So a process that was killed does not keep the others waiting."""
    one, other = caches
    await one.look_up("key", "killed", SHORT)
    begun = anyio.current_time()
    await eventually(lambda: anyio.current_time() > begun + SHORT, "the claim has ended")
    assert await other.look_up("key", "second", LONG) == Lookup(None, "second")
    await one.settle("key", "killed", None, LONG)
    assert (await other.look_up("key", "third", LONG)).maker == "second", "an old claim ends no other one"


async def test_a_value_ends_after_its_time(caches: Caches) -> None:
    one, other = caches
    await one.look_up("key", "first", LONG)
    await one.settle("key", "first", b"value", SHORT)
    begun = anyio.current_time()
    await eventually(lambda: anyio.current_time() > begun + SHORT + 0.05, "its time is over")
    assert await other.look_up("key", "second", LONG) == Lookup(None, "second")


async def test_a_newer_value_replaces_an_older_one(caches: Caches) -> None:
    for cache, value in zip(caches, (b"old", b"new"), strict=True):
        await cache.settle("key", "a claim that has expired", value, LONG)
    assert (await caches[0].look_up("key", "token", LONG)).value == b"new"


async def test_a_large_value_is_not_kept(caches: Caches) -> None:
    await caches[0].settle("fits", "token", b"x" * 256 * 1024, LONG)
    await caches[0].settle("key", "token", b"x" * (256 * 1024 + 1), LONG)
    assert (await caches[1].look_up("fits", "token", LONG)).value == b"x" * 256 * 1024
    assert (await caches[1].look_up("key", "token", LONG)).value is None


async def test_all_values_together_are_bounded(caches: Caches) -> None:
    """Clients can invent any number of arguments."""
    most = 10 * (1000 + 256)
    cache = MemoryCache(most) if isinstance(caches[0], MemoryCache) else RedisCache(caches[0]._client, most)  # type: ignore[attr-defined]
    for number in range(50):
        await cache.settle(f"key {number}", "token", b"x" * 1000, LONG + number)
    kept = [number for number in range(50) if (await cache.look_up(f"key {number}", "token", LONG)).value is not None]
    assert kept == list(range(40, 50))
