"""Twenty questions about a recorded day, with answers computed from the records themselves and not by the store.

Each is one call of a tool; `answers` says whether the text of the result holds the answer. `records` are those that a
reader without the tools would have to read, for the ratio of sizes.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfo_mcp.application.ports.telemetry_store import LogRecord, Span

_NS_PER_MS = 1e6


@dataclass(frozen=True)
class AskedQuestion:
    """A question, the call that answers it, the check of the answer, and the records that it is about."""

    text: str
    tool: str
    arguments: Mapping[str, Any]
    answers: Callable[[str], bool]
    records: Sequence[Span | LogRecord]


class Day:
    """The records of a day, with what the questions are about."""

    def __init__(self, spans: Sequence[Span], logs: Sequence[LogRecord]) -> None:
        self.spans = spans
        self.logs = logs
        self.traces: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            self.traces[span.trace_id].append(span)
        self.by_service = Counter(span.service for span in spans)
        self.by_name = Counter(span.name for span in spans)
        self.errors = [log for log in logs if log.severity >= 17]
        self.durations = {trace_id: _duration(members) for trace_id, members in self.traces.items()}
        self.slowest = max(self.durations, key=lambda trace_id: self.durations[trace_id])
        self.largest = max(self.traces, key=lambda trace_id: len(self.traces[trace_id]))

    def named(self, name: str) -> list[Span]:
        """Return the spans of an operation."""
        return [span for span in self.spans if span.name == name]

    def calls(self) -> Counter[tuple[str, str]]:
        """Return the numbers of calls from one service to another."""
        owner = {(span.trace_id, span.span_id): span.service for span in self.spans}
        pairs = ((owner.get((span.trace_id, span.parent_span_id), span.service), span.service) for span in self.spans)
        return Counter(pair for pair in pairs if pair[0] != pair[1])


def questions(day: Day) -> Iterator[AskedQuestion]:
    """Yield the questions."""
    yield from _about_services(day)
    yield from _about_operations(day)
    yield from _about_traces(day)
    yield from _about_logs(day)


def _about_services(day: Day) -> Iterator[AskedQuestion]:
    services = {span.service for span in day.spans} | {log.service for log in day.logs}
    everything: list[Span | LogRecord] = [*day.spans, *day.logs]
    yield AskedQuestion(
        "How many services are there?",
        "telemetry_overview",
        {},
        lambda text: f": {len(services)} services" in text,
        everything,
    )
    first = day.by_service.most_common(1)[0]
    ranked = {"by": ["service.name"], "limit": 5}
    yield AskedQuestion(
        "Which service sends most spans, and how many?", "aggregate", ranked, _row(first[0], str(first[1])), day.spans
    )
    loudest = Counter(log.service for log in day.errors).most_common(1)[0]
    noisy = {"of": "logs", "where": "severity >= error", "by": ["service.name"], "limit": 5}
    yield AskedQuestion(
        "Which service logs most errors, and how many?", "aggregate", noisy, _row(loudest[0], str(loudest[1])), day.logs
    )
    calls = day.calls()
    busiest = calls.most_common(1)[0][0]
    yield AskedQuestion(
        "Which call between services is the most frequent?", "service_map", {}, _row(*busiest), day.spans
    )
    callers = sorted({caller for caller, callee in calls if callee == busiest[1]})
    around = {"around": busiest[1]}
    yield AskedQuestion(
        f"Which services call {busiest[1]}?",
        "service_map",
        around,
        lambda text: all(f"{one}," in text for one in callers),
        day.spans,
    )


def _about_operations(day: Day) -> Iterator[AskedQuestion]:
    names = f",{len(day.by_name)},"
    yield AskedQuestion(
        "How many operations are there?", "find_fields", {"about": "name"}, lambda text: names in text, day.spans
    )
    totals: Counter[tuple[str, str]] = Counter()
    for span in day.spans:
        if span.kind == "client":
            totals[span.service, span.name] += span.duration
    costliest = totals.most_common(1)[0][0]
    by = {"measure": "sum", "by": ["service.name", "name"], "where": "kind = client", "limit": 3}
    yield AskedQuestion("Which calls take the most time in all?", "aggregate", by, _row(*costliest), day.spans)
    name = Counter(span.name for span in day.spans if span.kind == "server").most_common(1)[0][0]
    own = day.named(name)
    where = f'name = "{name}"'
    yield AskedQuestion(
        f"How often was {name} called?", "aggregate", {"where": where}, lambda text: f"\n{len(own)}," in text, own
    )
    slowest = max(span.duration for span in own) / _NS_PER_MS
    yield AskedQuestion(
        "What was its longest duration?", "aggregate", {"measure": "max", "where": where}, _number(slowest), own
    )
    mean = sum(span.duration for span in own) / len(own) / _NS_PER_MS
    yield AskedQuestion(
        "What is its mean duration?", "aggregate", {"measure": "avg", "where": where}, _number(mean), own
    )
    p95 = sorted(span.duration for span in own)[int(len(own) * 0.95)] / _NS_PER_MS
    yield AskedQuestion(
        "What is its 95th percentile?", "aggregate", {"measure": "p95", "where": where}, _number(p95, 0.05), own
    )


def _about_traces(day: Day) -> Iterator[AskedQuestion]:
    whole = day.traces[day.slowest]
    yield AskedQuestion(
        "Which trace is the slowest?", "search_traces", {"limit": 3}, lambda text: day.slowest in text, day.spans
    )
    slow = {"trace_id": day.slowest}
    yield AskedQuestion(
        "How many spans has the slowest trace?", "get_trace", slow, lambda text: f" {len(whole)} spans" in text, whole
    )
    busiest = max(_behind_the_entry(whole), key=lambda span: _own_time(span, whole))
    path = {**slow, "show": "critical_path", "budget": 1000}
    yield AskedQuestion(
        "Where was its time spent, behind the gateway?", "get_trace", path, lambda text: busiest.span_id in text, whole
    )
    yield AskedQuestion(
        "Which trace has the most spans?",
        "aggregate",
        {"by": ["trace_id"], "limit": 1},
        _row(day.largest, str(len(day.traces[day.largest]))),
        day.spans,
    )
    large = day.traces[day.largest]
    services = len({span.service for span in large})
    yield AskedQuestion(
        "How many services did it pass?",
        "get_trace",
        {"trace_id": day.largest, "budget": 2500},
        lambda text: f" {services} services" in text,
        large,
    )


def _about_logs(day: Day) -> Iterator[AskedQuestion]:
    count = f": {len(day.errors)} records"
    yield AskedQuestion(
        "How many errors were logged?", "search_logs", {"severity": "error"}, lambda text: count in text, day.logs
    )
    phrases = Counter(log.body.rpartition("[")[2].rstrip("]")[:40] for log in day.errors if log.body.endswith("]"))
    phrase = next(text for text, _ in phrases.most_common() if text.replace(" ", "").isalpha())
    yield AskedQuestion(
        "What is the commonest error message?",
        "search_logs",
        {"severity": "error"},
        lambda text: phrase in text,
        day.errors,
    )
    with_phrase = [log for log in day.logs if phrase in log.body]
    counted = {"of": "logs", "where": f'body ~ "{phrase}"'}
    yield AskedQuestion(
        "How often was it logged?", "aggregate", counted, lambda text: f"\n{len(with_phrase)}," in text, with_phrase
    )
    around = [log for log in day.logs if log.trace_id == day.slowest]
    yield AskedQuestion(
        "What did the slowest trace log?",
        "search_logs",
        {"trace_id": day.slowest},
        lambda text: int(text.partition(" record")[0].rpartition(" ")[2]) >= len(around),
        around,
    )


def _behind_the_entry(members: Sequence[Span]) -> Sequence[Span]:
    """Return the spans of other services than the root's, whose spans last as long as all others together."""
    (entry,) = {span.service for span in members if not span.parent_span_id}
    return [span for span in members if span.service != entry]


def _own_time(span: Span, members: Sequence[Span]) -> int:
    """Return the duration without that of the children, which do not overlap in these programs."""
    return span.duration - sum(child.duration for child in members if child.parent_span_id == span.span_id)


def _duration(members: Sequence[Span]) -> int:
    return max(span.end for span in members) - min(span.start for span in members)


def _row(*cells: str) -> Callable[[str], bool]:
    """Return a check that the first row of the table contains these cells."""

    def check(text: str) -> bool:
        lines = text.partition("<telemetry-data>\n")[2].split("\n")
        return len(lines) > 1 and set(cells) <= set(next(csv.reader([lines[1]])))

    return check


def _number(expected: float, tolerance: float = 0.005) -> Callable[[str], bool]:
    """Return a check that the first cell of the first row is a number."""

    def check(text: str) -> bool:
        lines = text.partition("<telemetry-data>\n")[2].split("\n")
        return abs(float(lines[1].split(",")[0]) - expected) <= tolerance * expected

    return check
