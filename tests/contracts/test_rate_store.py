"""The contract of RateStore: GCRA, for all replicas together."""

import anyio
import pytest

from tests.support.deadlines import eventually
from tfo_mcp.application.ports import RateStore
from tfo_mcp.domain.rates import Admission, Rate

pytestmark = pytest.mark.anyio

SLOW = Rate(per_minute=1, burst=3)
DAILY = Rate(per_minute=1000 / 1440, burst=1000)
Stores = tuple[RateStore, RateStore]


async def test_a_burst_is_allowed_at_once_and_then_nothing(rates: Stores) -> None:
    taken = [await rates[number % 2].take("a", SLOW) for number in range(4)]
    assert [admission.allowed for admission in taken] == [True, True, True, False]
    assert [admission.remaining for admission in taken] == [2, 1, 0, 0]
    assert taken[3].retry_after == pytest.approx(60, abs=5)
    assert [admission.reset_after for admission in taken] == pytest.approx([60, 120, 180, 180], abs=5)


async def test_a_unit_is_available_again_after_its_interval(rates: Stores) -> None:
    fast = Rate(per_minute=600, burst=1)
    asked = anyio.current_time()
    assert (await rates[0].take("a", fast)).allowed
    while (refused := await rates[1].take("a", fast)).allowed:  # it was asked late
        assert anyio.current_time() - asked >= fast.interval
        asked = anyio.current_time()
        await rates[0].take("a", fast)
    assert 0 < refused.retry_after <= 0.1
    begun = anyio.current_time()
    await eventually(lambda: anyio.current_time() > begun + refused.retry_after, "the interval is over")
    assert (await rates[1].take("a", fast)).allowed


async def test_counters_of_other_names_are_separate(rates: Stores) -> None:
    once = Rate(1, 1)
    for name in ("a", "b", "a tool:x", "ü"):
        assert [(await rates[0].take(name, once)).allowed for _ in range(2)] == [True, False]


async def test_a_cost_of_zero_reads_and_takes_nothing(rates: Stores) -> None:
    untouched = Admission(True, 3, 0.0, 0.0)
    assert [await rates[0].take("a", SLOW, 0) for _ in range(2)] == [untouched] * 2
    await rates[0].take("a", SLOW)
    assert [(await rates[1].take("a", SLOW, 0)).remaining for _ in range(2)] == [2, 2]


async def test_a_cost_above_the_rest_is_refused_and_takes_nothing(rates: Stores) -> None:
    assert (await rates[0].take("a", DAILY, 900)).remaining == 100
    refused = await rates[1].take("a", DAILY, 101)
    assert (refused.allowed, refused.remaining) == (False, 100)
    assert refused.retry_after == pytest.approx(86.4, abs=5)
    assert (await rates[1].take("a", DAILY, 100)).allowed
    assert (await rates[0].take("a", DAILY, 0)).remaining == 0


@pytest.mark.parametrize("rate", [Rate(60, 1), Rate(6000, 100), Rate(7, 7), Rate(0.5, 20), Rate(100_000, 9)])
async def test_a_burst_that_several_take_at_once_is_never_exceeded(rates: Stores, rate: Rate) -> None:
    allowed: list[bool] = []
    begun = anyio.current_time()

    async def take(store: RateStore) -> None:
        allowed.append((await store.take("a", rate)).allowed)

    async with anyio.create_task_group() as tasks:
        for number in range(rate.burst + 20):
            tasks.start_soon(take, rates[number % 2])
    refilled = (anyio.current_time() - begun) / rate.interval
    assert rate.burst <= sum(allowed) <= rate.burst + refilled + 1
