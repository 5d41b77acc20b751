"""The contract of Outbox."""

import anyio
import pytest

from tests.support.deadlines import LOOK_AGAIN, PATIENCE
from tests.support.recorded_events import records
from tfo_mcp.application.ports import Outbox, RecordedEvent

pytestmark = pytest.mark.anyio
Outboxes = tuple[Outbox, Outbox]


async def drained(outbox: Outbox, limit: int = 2) -> list[RecordedEvent]:
    """Return all events of an outbox in order, and remove them."""
    found: list[RecordedEvent] = []
    while (batch := await outbox.oldest(limit)).events:
        found += batch.events
        await outbox.remove(batch)
    return found


async def test_events_leave_whole_and_in_order(outboxes: Outboxes) -> None:
    here, there = outboxes
    events = [*records(3), *(record._replace(traceparent="00-a-b-01") for record in records(2, "name é"))]
    await here.put(events[:2])
    await there.put(events[2:])
    assert await drained(here) == events
    assert (await there.oldest(10)).events in ((), [])


async def test_events_stay_until_they_are_removed(outboxes: Outboxes) -> None:
    outbox, _ = outboxes
    events = records(3)
    await outbox.put(events)
    batch = await outbox.oldest(2)
    assert list(batch.events) == events[:2]
    assert (await outbox.oldest(2)).events == batch.events
    await outbox.put(late := records(1))
    await outbox.remove(batch)
    await outbox.remove(batch)
    assert await drained(outbox) == [events[2], *late]


async def test_removing_old_events_again_does_not_remove_new_ones(outboxes: Outboxes) -> None:
    outbox, _ = outboxes
    await outbox.put(records(2))
    old = await outbox.oldest(2)
    await outbox.remove(old)
    await outbox.put(new := records(2))
    await outbox.remove(old)
    assert await drained(outbox) == new


async def test_putting_no_events_is_no_error(outboxes: Outboxes) -> None:
    await outboxes[0].put([])
    assert not (await outboxes[0].oldest(1)).events


async def test_concurrent_events_are_all_kept(outboxes: Outboxes) -> None:
    here, there = outboxes
    events = [records(5, f"tool{number}") for number in range(10)]
    async with anyio.create_task_group() as tasks:
        for number, some in enumerate(events):
            tasks.start_soon((here, there)[number % 2].put, some)
    found = await drained(here, 7)
    assert sorted(found) == sorted(event for some in events for event in some)
    for some in events:
        assert [event for event in found if event in some] == some


class TestLease:
    @pytest.mark.parametrize("outboxes", ["sqlite", "postgresql"], indirect=True)
    async def test_one_process_drains_until_it_releases_the_outbox(self, outboxes: Outboxes) -> None:
        here, there = outboxes
        await here.put(events := records(4))
        assert list((await here.oldest(2)).events) == events[:2]
        assert not (await there.oldest(2)).events
        await there.release()
        assert not (await there.oldest(2)).events
        await here.release()
        assert list((await there.oldest(2)).events) == events[:2]
        assert not (await here.oldest(2)).events

    @pytest.mark.parametrize("outboxes", ["sqlite", "postgresql"], indirect=True)
    async def test_a_process_that_asks_no_more_loses_the_outbox(self, outboxes: Outboxes) -> None:
        here, there = outboxes
        await here.put(records(1))
        assert (await here.oldest(1)).events
        with anyio.fail_after(PATIENCE):
            while not (await there.oldest(1)).events:
                await anyio.sleep(LOOK_AGAIN)
        assert not (await here.oldest(1)).events
