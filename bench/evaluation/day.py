"""The records of a recorded day, what the questions are about, and checks of the answers.

Known answers are computed here from the records themselves and not by any store.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.evaluation.archive import Gauge
from bench.evaluation.causes import Fault
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span

NS_PER_MS = 1e6
Known = Sequence[str | float]
"""Texts and numbers of an answer; durations are in milliseconds."""


@dataclass(frozen=True)
class AskedQuestion:
    """A question, the call that answers it, the check of the answer, and what is known.

    Args:
        key: names the question in the tables of calls of other servers.
        answers: whether the text of the call's result holds the answer.
        records: those that a reader without the tools would have to read, for the ratio of sizes.
        known: what any answer must contain.
    """

    key: str
    text: str
    tool: str
    arguments: Mapping[str, Any]
    answers: Callable[[str], bool]
    records: Sequence[Span | LogRecord | Gauge]
    known: Known


class Day:
    """The records of a day, with what the questions are about."""

    def __init__(
        self, spans: Sequence[Span], logs: Sequence[LogRecord], gauges: Sequence[Gauge], faults: Sequence[Fault]
    ) -> None:
        self.spans = spans
        self.logs = logs
        self.gauges = gauges
        self.faults = faults
        self.traces: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            self.traces[span.trace_id].append(span)
        self.by_service = Counter(span.service for span in spans)
        self.by_name = Counter(span.name for span in spans)
        self.errors = [log for log in logs if log.severity >= 17]
        self.durations = {trace_id: _duration(members) for trace_id, members in self.traces.items()}
        self.slowest = max(self.durations, key=lambda trace_id: self.durations[trace_id])
        self.largest = max(self.traces, key=lambda trace_id: len(self.traces[trace_id]))

    @cached_property
    def first(self) -> int:
        """The time of the first record, in nanoseconds."""
        return min(self._times())

    @cached_property
    def last(self) -> int:
        """The time of the last record, in nanoseconds."""
        return max(self._times())

    def _times(self) -> list[int]:
        return [span.start for span in self.spans] + [log.time for log in self.logs]

    @cached_property
    def minutes(self) -> Sequence[int]:
        """The minutes with spans, in order, since 1970."""
        return sorted({span.start // (60 * 10**9) for span in self.spans})

    @cached_property
    def calls(self) -> Counter[tuple[str, str]]:
        """The numbers of calls from one service to another."""
        owner = {(span.trace_id, span.span_id): span.service for span in self.spans}
        pairs = ((owner.get((span.trace_id, span.parent_span_id), span.service), span.service) for span in self.spans)
        return Counter(pair for pair in pairs if pair[0] != pair[1])

    @cached_property
    def callee(self) -> str:
        """The service that is called most often by another one."""
        return self.calls.most_common(1)[0][0][1]

    @cached_property
    def operation(self) -> str:
        """The commonest operation of spans of kind server."""
        return Counter(span.name for span in self.spans if span.kind == "server").most_common(1)[0][0]

    @cached_property
    def phrase(self) -> str:
        """The commonest message of errors that end with a message in brackets."""
        found = Counter(log.body.rpartition("[")[2].rstrip("]")[:40] for log in self.errors if log.body.endswith("]"))
        return next(text for text, _ in found.most_common() if text.replace(" ", "").isalpha())

    @cached_property
    def bottleneck(self) -> Span:
        """The span of the slowest trace with the greatest time of its own, behind the service of the root.

        The spans of that service last as long as all others together.
        """
        members = self.traces[self.slowest]
        (entry,) = {span.service for span in members if not span.parent_span_id}
        return max((span for span in members if span.service != entry), key=lambda span: _own_time(span, members))

    @cached_property
    def first_faults(self) -> Sequence[Fault]:
        """The first fault of each kind."""
        kinds: dict[str, Fault] = {}
        for fault in sorted(self.faults, key=lambda each: each.minute):
            kinds.setdefault(fault.kind, fault)
        return list(kinds.values())

    def named(self, name: str) -> list[Span]:
        """Return the spans of an operation."""
        return [span for span in self.spans if span.name == name]


def row(*cells: str) -> Callable[[str], bool]:
    """Return a check that the first row of the table contains these cells."""

    def check(text: str) -> bool:
        lines = text.partition("<telemetry-data>\n")[2].split("\n")
        return len(lines) > 1 and set(cells) <= set(next(csv.reader([lines[1]])))

    return check


def number(expected: float, tolerance: float = 0.005) -> Callable[[str], bool]:
    """Return a check that a cell of the first row is a number."""

    def check(text: str) -> bool:
        lines = text.partition("<telemetry-data>\n")[2].split("\n")
        return any(_is_near(cell, expected, tolerance) for cell in next(csv.reader([lines[1]])))

    return check


def _is_near(cell: str, expected: float, tolerance: float) -> bool:
    try:
        return abs(float(cell) - expected) <= tolerance * abs(expected)
    except ValueError:
        return False


def _own_time(span: Span, members: Sequence[Span]) -> int:
    """Return the duration without that of the children, which do not overlap in these programs."""
    return span.duration - sum(child.duration for child in members if child.parent_span_id == span.span_id)


def _duration(members: Sequence[Span]) -> int:
    return max(span.end for span in members) - min(span.start for span in members)
