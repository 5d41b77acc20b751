"""Twenty more questions: metrics, log records by pod and minute, traces as a whole, and causes of recorded failures.

The failures are the first one of each kind of the archive; the question names their period, and no service.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.evaluation.archive import Gauge, service_of
from bench.evaluation.causes import Fault
from bench.evaluation.day import NS_PER_MS, AskedQuestion, Day, number, row
from tfo_mcp.analysis.times import show_time

PROCESSOR, MEMORY = "k8s.pod.cpu.usage", "k8s.pod.memory.usage"
MINUTE = 60 * 10**9
_GAUGES = "FROM otel_metrics_gauge WHERE MetricName = "


def further_questions(day: Day) -> Iterator[AskedQuestion]:
    """Yield the questions."""
    yield from _about_metrics(day)
    yield from _about_log_records(day)
    yield from _about_spans(day)
    for fault in day.first_faults:
        yield _cause(day, fault)


def _about_metrics(day: Day) -> Iterator[AskedQuestion]:
    names = sorted({gauge.name for gauge in day.gauges})
    yield AskedQuestion(
        "metrics",
        "Which metrics are there?",
        "find_fields",
        {"signal": "metrics"},
        lambda text: all(name in text for name in names),
        day.gauges,
        names,
    )
    for key, name, what in (("memory", MEMORY, "memory"), ("processor", PROCESSOR, "processor time")):
        values: dict[str, list[float]] = defaultdict(list)
        for gauge in day.gauges:
            if gauge.name == name:
                values[service_of(gauge.pod)].append(gauge.value)
        most = max(values, key=lambda service: max(values[service]))
        statement = f"SELECT ServiceName, max(Value) AS most {_GAUGES}'{name}' GROUP BY ServiceName ORDER BY most DESC"
        text = f"Which service used most {what} at its peak, and how much?"
        yield _sql(f"most {key}", text, f"{statement} LIMIT 3", most, max(values[most]), day.gauges)
    own = _own_gauges(day, PROCESSOR)
    peak = max(gauge.value for gauge in own)
    yield AskedQuestion(
        "peak of processor",
        f"How much processor time did {day.callee} use at its peak?",
        "query_metrics",
        {"metric": PROCESSOR, "where": f'service.name = "{day.callee}"', "aggregate": "max"},
        number(peak),
        own,
        [peak],
    )
    mean = sum(gauge.value for gauge in own) / len(own)
    statement = f"SELECT avg(Value) AS mean {_GAUGES}'{PROCESSOR}' AND ServiceName = '{day.callee}'"
    text = f"How much processor time did {day.callee} use on average?"
    yield _sql("mean of processor", text, statement, None, mean, day.gauges)
    pods = len({gauge.pod for gauge in day.gauges})
    statement = "SELECT count(DISTINCT ResourceAttributes['k8s.pod.name']) AS pods FROM otel_metrics_gauge"
    yield _sql("pods", "How many pods report metrics?", statement, None, pods, day.gauges)


def _own_gauges(day: Day, name: str) -> Sequence[Gauge]:
    """Return the gauges of the service that is called most."""
    return [gauge for gauge in day.gauges if gauge.name == name and service_of(gauge.pod) == day.callee]


def _about_log_records(day: Day) -> Iterator[AskedQuestion]:
    loudest, records = Counter(log.service for log in day.logs).most_common(1)[0]
    by: Mapping[str, Any] = {"of": "logs", "by": ["service.name"], "limit": 3}
    yield _first_row("loudest service", "Which service logs most, and how much?", by, loudest, records, day.logs)
    warnings = sum(log.severity == 13 for log in day.logs)
    where = {"of": "logs", "where": "severity = warn"}
    yield _first_row("warnings", "How many warnings were logged?", where, None, warnings, day.logs)
    pod, count = Counter(log.resource["k8s.pod.name"] for log in day.errors).most_common(1)[0]
    by = {"of": "logs", "where": "severity >= error", "by": ["k8s.pod.name"], "limit": 3}
    yield _first_row("pod with errors", "Which pod logs most errors, and how many?", by, str(pod), count, day.errors)
    minute, count = Counter(log.time // MINUTE for log in day.errors).most_common(1)[0]
    statement = (
        "SELECT date_trunc('minute', Timestamp) AS minute, count(*) AS errors FROM otel_logs "
        "WHERE SeverityNumber >= 17 GROUP BY minute ORDER BY errors DESC LIMIT 3"
    )
    text = "In which minute were most errors logged, and how many?"
    yield _sql("minute of errors", text, statement, show_time(minute * MINUTE)[11:16], count, day.errors)
    alone = sum(not log.trace_id for log in day.logs)
    statement = "SELECT count(*) AS records FROM otel_logs WHERE TraceId = ''"
    yield _sql("logs without trace", "How many log records belong to no trace?", statement, None, alone, day.logs)


def _about_spans(day: Day) -> Iterator[AskedQuestion]:
    statement = (
        f"SELECT count(DISTINCT TraceId) AS traces FROM otel_traces WHERE Timestamp < '{show_time(day.last + MINUTE)}'"
    )
    yield _sql("traces", "How many traces are there?", statement, None, len(day.traces), day.spans)
    yield _first_row("spans", "How many spans are there?", {}, None, len(day.spans), day.spans)
    by: Mapping[str, Any] = {"measure": "max", "by": ["service.name", "name"], "where": "kind = client", "limit": 3}
    longest = max((span for span in day.spans if span.kind == "client"), key=lambda span: span.duration)
    duration = longest.duration / NS_PER_MS
    text = "Which outgoing call lasted longest, and how long?"
    yield _first_row("longest call", text, by, longest.name, duration, day.spans)
    slow = sum(span.kind == "server" and span.duration > 10**9 for span in day.spans)
    where = {"where": "kind = server and duration > 1s"}
    yield _first_row("slow requests", "How many requests took longer than 1 s?", where, None, slow, day.spans)
    kind, count = Counter(span.kind for span in day.spans).most_common(1)[0]
    text = "Which kind of span is the commonest, and how many are there?"
    yield _first_row("kinds", text, {"by": ["kind"]}, kind.capitalize(), count, day.spans)
    caller = day.calls.most_common(1)[0][0][0]
    callees = sorted({callee for one, callee in day.calls if one == caller})
    yield AskedQuestion(
        "callees",
        f"Which services does {caller} call?",
        "service_map",
        {"around": caller},
        lambda text: all(f",{one}," in text for one in callees),
        day.spans,
        callees,
    )


def _cause(day: Day, fault: Fault) -> AskedQuestion:
    start, end = fault.minute, fault.minute + 3 * MINUTE
    period = f"{show_time(start)[11:16]} and {show_time(end)[11:16]}"
    arguments = {
        "from": show_time(start),
        "to": show_time(end),
        "baseline": f"{show_time(day.first - 10**9)}/{show_time(day.last + 10**9)}",
    }
    spans = [span for span in day.spans if start <= span.start < end]
    text = f"Something is wrong between {period}: in which service does it begin?"
    return AskedQuestion(f"cause: {fault.kind}", text, "compare", arguments, row(fault.service), spans, [fault.service])


def _sql(key: str, text: str, statement: str, name: str | None, value: float, records: Sequence[Any]) -> AskedQuestion:
    check = number(value)
    known: list[str | float] = [value] if name is None else [name, value]
    return AskedQuestion(
        key,
        text,
        "telemetry_sql",
        {"query": statement},
        lambda answer: check(answer) and (name is None or name in answer.split("\n")[3]),
        records,
        known,
    )


def _first_row(
    key: str, text: str, arguments: Mapping[str, Any], name: str | None, value: float, records: Sequence[Any]
) -> AskedQuestion:
    is_value = number(value)
    is_named = row(*([] if name is None else [name]))
    return AskedQuestion(
        key,
        text,
        "aggregate",
        arguments,
        lambda answer: is_value(answer) and is_named(answer),
        records,
        [value] if name is None else [name, value],
    )
