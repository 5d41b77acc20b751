"""Forty questions about a recorded day, with answers computed from the records themselves and not by the store.

Each is one call of a tool; `answers` says whether the text of the result holds the answer. Twenty are here, the others
in `further_questions`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.evaluation.archive import Gauge, service_of
from bench.evaluation.day import NS_PER_MS, AskedQuestion, Day, number, row
from bench.evaluation.further_questions import further_questions
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span


def questions(day: Day) -> Iterator[AskedQuestion]:
    """Yield the questions."""
    yield from _about_services(day)
    yield from _about_service_calls(day)
    yield from _about_operations(day)
    yield from _about_traces(day)
    yield from _about_logs(day)
    yield from further_questions(day)


def _about_services(day: Day) -> Iterator[AskedQuestion]:
    services = {span.service for span in day.spans} | {log.service for log in day.logs}
    services |= {service_of(gauge.pod) for gauge in day.gauges}
    everything: list[Span | LogRecord | Gauge] = [*day.spans, *day.logs, *day.gauges]
    yield AskedQuestion(
        "services",
        "How many services are there?",
        "telemetry_overview",
        {},
        lambda text: f": {len(services)} services" in text,
        everything,
        [len(services)],
    )
    first = day.by_service.most_common(1)[0]
    yield _table(
        "most spans",
        "Which service sends most spans, and how many?",
        {"by": ["service.name"], "limit": 5},
        (first[0], first[1]),
        day.spans,
    )
    loudest = Counter(log.service for log in day.errors).most_common(1)[0]
    yield _table(
        "most errors",
        "Which service logs most errors, and how many?",
        {"of": "logs", "where": "severity >= error", "by": ["service.name"], "limit": 5},
        (loudest[0], loudest[1]),
        day.logs,
    )


def _about_service_calls(day: Day) -> Iterator[AskedQuestion]:
    busiest = day.calls.most_common(1)[0][0]
    text = "Which call between services is the most frequent?"
    yield AskedQuestion("busiest call", text, "service_map", {}, row(*busiest), day.spans, busiest)
    callers = sorted({caller for caller, callee in day.calls if callee == day.callee})
    yield AskedQuestion(
        "callers",
        f"Which services call {day.callee}?",
        "service_map",
        {"around": day.callee},
        lambda text: all(f"{one}," in text for one in callers),
        day.spans,
        callers,
    )


def _about_operations(day: Day) -> Iterator[AskedQuestion]:
    text, names = "How many operations are there?", f",{len(day.by_name)},"
    about = {"about": "name"}
    yield AskedQuestion(
        "operations", text, "find_fields", about, lambda text: names in text, day.spans, [len(day.by_name)]
    )
    totals: Counter[tuple[str, str]] = Counter()
    for span in day.spans:
        if span.kind == "client":
            totals[span.service, span.name] += span.duration
    by = {"measure": "sum", "by": ["service.name", "name"], "where": "kind = client", "limit": 3}
    costliest = totals.most_common(1)[0][0]
    yield _table("costliest calls", "Which calls take the most time in all?", by, costliest, day.spans)
    own = day.named(day.operation)
    durations = sorted(span.duration / NS_PER_MS for span in own)
    where = f'name = "{day.operation}"'
    yield AskedQuestion(
        "count of operation",
        f"How often was {day.operation} called?",
        "aggregate",
        {"where": where},
        lambda text: f"\n{len(own)}," in text,
        own,
        [len(own)],
    )
    for key, name, measure, value in (
        ("longest of operation", "longest duration", "max", durations[-1]),
        ("mean of operation", "mean duration", "avg", sum(durations) / len(durations)),
        ("p95 of operation", "95th percentile", "p95", durations[int(len(own) * 0.95)]),
    ):
        check = number(value, 0.05 if measure == "p95" else 0.005)
        text = f"What is the {name} of {day.operation}?"
        yield AskedQuestion(key, text, "aggregate", {"measure": measure, "where": where}, check, own, [value])


def _about_traces(day: Day) -> Iterator[AskedQuestion]:
    whole, slow = day.traces[day.slowest], {"trace_id": day.slowest}
    yield AskedQuestion(
        "slowest trace",
        "Which trace is the slowest?",
        "search_traces",
        {"limit": 3},
        lambda text: day.slowest in text,
        day.spans,
        [day.slowest],
    )
    yield AskedQuestion(
        "spans of slowest",
        f"How many spans has the trace {day.slowest}?",
        "get_trace",
        slow,
        lambda text: f" {len(whole)} spans" in text,
        whole,
        [len(whole)],
    )
    yield AskedQuestion(
        "time of slowest",
        f"Where was the time of {day.slowest} spent, behind the gateway?",
        "get_trace",
        {**slow, "show": "critical_path", "budget": 1000},
        lambda text: day.bottleneck.span_id in text,
        whole,
        [day.bottleneck.span_id],
    )
    yield from _about_the_largest_trace(day)


def _about_the_largest_trace(day: Day) -> Iterator[AskedQuestion]:
    large = day.traces[day.largest]
    by = {"by": ["trace_id"], "limit": 1}
    yield _table("largest trace", "Which trace has the most spans?", by, (day.largest, len(large)), day.spans)
    services = len({span.service for span in large})
    yield AskedQuestion(
        "services of largest",
        f"How many services did the trace {day.largest} pass?",
        "get_trace",
        {"trace_id": day.largest, "budget": 2500},
        lambda text: f" {services} services" in text,
        large,
        [services],
    )


def _about_logs(day: Day) -> Iterator[AskedQuestion]:
    count, severe = f": {len(day.errors)} records", {"severity": "error"}
    text = "How many errors were logged?"
    yield AskedQuestion("errors", text, "search_logs", severe, lambda text: count in text, day.logs, [len(day.errors)])
    text = "What is the commonest error message?"
    yield AskedQuestion(
        "commonest error", text, "search_logs", severe, lambda text: day.phrase in text, day.errors, [day.phrase]
    )
    found = [log for log in day.logs if day.phrase in log.body]
    yield AskedQuestion(
        "count of error",
        f"How often was '{day.phrase}' logged?",
        "aggregate",
        {"of": "logs", "where": f'body ~ "{day.phrase}"'},
        lambda text: f"\n{len(found)}," in text,
        found,
        [len(found)],
    )
    around = [log for log in day.logs if log.trace_id == day.slowest]
    ends = Counter(log.body.rpartition("[")[2].rstrip("]") for log in around)
    commonest = next(text for text, _ in ends.most_common() if text.replace(" ", "").isalpha())
    yield AskedQuestion(
        "logs of slowest",
        f"What did the trace {day.slowest} log?",
        "search_logs",
        {"trace_id": day.slowest},
        lambda text: int(text.partition(" record")[0].rpartition(" ")[2]) >= len(around) and commonest in text,
        around,
        [commonest],
    )


def _table(
    key: str, text: str, arguments: Mapping[str, Any], known: Sequence[str | int], records: Sequence[Span | LogRecord]
) -> AskedQuestion:
    """Return a question that the first row of a table answers."""
    check: Callable[[str], bool] = row(*(str(each) for each in known))
    return AskedQuestion(key, text, "aggregate", arguments, check, records, known)
