"""Records of events for tests, and what is expected of the order of a log."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from tfo_mcp.application.event_records import EventRecords
from tfo_mcp.application.ports import RecordedEvent
from tfo_mcp.domain.events import ToolExecuted

RECORDS = EventRecords()


def records(count: int, name: str = "echo") -> list[RecordedEvent]:
    """Return new records of tools that have run; their durations count from 0."""
    return [RECORDS.of(ToolExecuted(name, False, float(number))) for number in range(count)]


def by_subject(events: Iterable[RecordedEvent]) -> dict[tuple[str, str], Sequence[RecordedEvent]]:
    """Return the events of each aggregate, in the order of the log."""
    ordered = sorted(events, key=lambda event: (event.aggregate, event.subject))  # stable
    return {key: list(found) for key, found in groupby(ordered, lambda event: (event.aggregate, event.subject))}
