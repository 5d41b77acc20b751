"""The contract of EventLog."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.support.recorded_events import records
from tfo_mcp.application.ports import EventLog, RecordedEvent

pytestmark = pytest.mark.anyio
Log = tuple[EventLog, Callable[[], Awaitable[Sequence[RecordedEvent]]]]


async def test_events_come_back_whole_and_in_order(event_log: Log) -> None:
    log, read = event_log
    first, second = (
        records(3),
        [record._replace(traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01") for record in records(2)],
    )
    await log.append(first)
    await log.append(second)
    assert list(await read()) == [*first, *second]
    assert log.works()


async def test_events_that_are_appended_again_are_kept_once(event_log: Log) -> None:
    log, read = event_log
    events = records(5)
    await log.append(events[:3])
    await log.append(events[1:])
    await log.append(events)
    assert list(await read()) == events


async def test_nothing_is_appended_by_no_events(event_log: Log) -> None:
    log, read = event_log
    await log.append([])
    assert list(await read()) == []
