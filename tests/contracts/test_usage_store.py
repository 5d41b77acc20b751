"""The contract of UsageStore."""

from datetime import date

import pytest

from tests.contracts.conftest import Clock
from tfo_mcp.application.ports import DailyUsage, UsageStore

pytestmark = pytest.mark.anyio
DAY = 86_400.0
FIRST, SECOND = date(1970, 1, 1), date(1970, 1, 2)
Stores = tuple[UsageStore, UsageStore, Clock]


async def test_without_usage_nothing_is_listed(usage_stores: Stores) -> None:
    store, _, _ = usage_stores
    assert list(await store.list(FIRST)) == []


async def test_what_processes_count_is_added_up_by_principal_and_day(usage_stores: Stores) -> None:
    here, there, clock = usage_stores
    clock.now = DAY - 1
    here.count("key:b", calls=1)
    here.count("key:b", calls=1, tokens=5)
    here.count("key:a é", tokens=10**12)
    await here.list(FIRST)
    there.count("key:b", calls=3)
    clock.now = DAY
    there.count("key:b", calls=4)
    expected = [
        DailyUsage("key:b", SECOND, 4, 0),
        DailyUsage("key:a é", FIRST, 0, 10**12),
        DailyUsage("key:b", FIRST, 5, 5),
    ]
    assert list(await there.list(FIRST)) == expected
    assert list(await here.list(FIRST)) == expected
    assert list(await here.list(SECOND)) == expected[:1]
    for each in expected:
        assert each in list(await there.list(FIRST, each.principal))
    assert list(await there.list(FIRST, "nobody")) == []
