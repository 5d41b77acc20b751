"""mcp-clickhouse over chDB: the same records in the tables of the OpenTelemetry Collector's exporter.

Each question is one SELECT (`run_query`), as somebody who knows the exporter's schema would write it. For causes there
are four: errors by service, messages that became rarer or more frequent, durations, and use of the processor.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from bench.evaluation.archive import Minute
from bench.evaluation.causes import Fault
from bench.evaluation.day import Day
from bench.evaluation.further_questions import MEMORY, MINUTE, PROCESSOR
from bench.evaluation.peers.packages import python_command
from bench.evaluation.peers.session import PeerCall, PeerSession, Plan, peer_session
from bench.evaluation.sender import send, send_gauges
from tests.support.clickhouse import PASSWORD, USER, clickhouse_server
from tests.support.processes import LOOPBACK
from tests.support.telemetry_stores import written_store

NAME = "mcp-clickhouse"
DATABASE = "day"
ORIENTATION = (PeerCall("list_tables", {"database": DATABASE}),)
_MESSAGE = "replaceRegexpAll(extract(Body, 'SpanID: [0-9a-f]* *(.*)'), '[0-9a-f-]{8,}|[0-9]+', '#')"
"""The message of a line of these programs, without ids and numbers."""


@contextmanager
def clickhouse_peer(day: Day) -> Iterator[PeerSession]:
    """Load a day into a ClickHouse, and run the server over it."""
    with tempfile.TemporaryDirectory() as directory, clickhouse_server(Path(directory)) as server:
        server.execute(f"CREATE DATABASE {DATABASE}")
        with written_store(server, DATABASE) as store, httpx.Client(timeout=120) as client:
            send(client, store.http, Minute(list(day.spans), list(day.logs)))
            send_gauges(client, store.http, day.gauges)
        with clickhouse_session(server.port) as session:
            yield session


@contextmanager
def clickhouse_session(port: int) -> Iterator[PeerSession]:
    """Run the server over a ClickHouse that has the records."""
    variables = {
        "CLICKHOUSE_HOST": LOOPBACK,
        "CLICKHOUSE_PORT": str(port),
        "CLICKHOUSE_USER": USER,
        "CLICKHOUSE_PASSWORD": PASSWORD,
        "CLICKHOUSE_SECURE": "false",
        "CLICKHOUSE_DATABASE": DATABASE,
    }
    with peer_session(python_command(NAME), variables) as session:
        yield session


def clickhouse_plans(day: Day) -> Mapping[str, Plan]:
    """Return the calls that answer each question, by its key."""
    statements = {**_services(day), **_operations(day), **_traces(day), **_logs(day), **_metrics(day)}
    plans = {key: Plan([_query(statement)]) for key, statement in statements.items()}
    plans["p95 of operation"] = replace(plans["p95 of operation"], tolerance=0.05)
    for fault in day.first_faults:
        plans[f"cause: {fault.kind}"] = Plan(_cause(fault, len(day.minutes)), is_first=True)
    return plans


def _query(statement: str) -> PeerCall:
    return PeerCall("run_query", {"query": statement})


def _services(day: Day) -> Mapping[str, str]:
    calls = (
        "SELECT p.ServiceName AS caller, c.ServiceName AS callee, count() AS calls FROM otel_traces c "
        "JOIN otel_traces p ON c.TraceId = p.TraceId AND c.ParentSpanId = p.SpanId "
        "WHERE p.ServiceName != c.ServiceName {} "
        "GROUP BY caller, callee ORDER BY calls DESC LIMIT {}"
    )
    caller = day.calls.most_common(1)[0][0][0]
    return {
        "services": "SELECT uniqExact(ServiceName) FROM (SELECT ServiceName FROM otel_traces UNION ALL "
        "SELECT ServiceName FROM otel_logs UNION ALL SELECT ServiceName FROM otel_metrics_gauge)",
        "most spans": "SELECT ServiceName, count() AS n FROM otel_traces GROUP BY 1 ORDER BY n DESC LIMIT 5",
        "most errors": "SELECT ServiceName, count() AS n FROM otel_logs WHERE SeverityNumber >= 17 GROUP BY 1 "
        "ORDER BY n DESC LIMIT 5",
        "busiest call": calls.format("", 5),
        "callers": calls.format(f"AND callee = '{day.callee}'", 50),
        "callees": calls.format(f"AND caller = '{caller}'", 50),
    }


def _operations(day: Day) -> Mapping[str, str]:
    of = f"FROM otel_traces WHERE SpanName = '{day.operation}'"
    return {
        "operations": "SELECT uniqExact(SpanName) FROM otel_traces",
        "costliest calls": "SELECT ServiceName, SpanName, sum(Duration) / 1e6 AS ms FROM otel_traces "
        "WHERE SpanKind = 'Client' GROUP BY 1, 2 ORDER BY ms DESC LIMIT 3",
        "count of operation": f"SELECT count() {of}",
        "longest of operation": f"SELECT max(Duration) / 1e6 AS ms {of}",
        "mean of operation": f"SELECT avg(Duration) / 1e6 AS ms {of}",
        "p95 of operation": f"SELECT quantile(0.95)(Duration) / 1e6 AS ms {of}",
        "longest call": "SELECT ServiceName, SpanName, max(Duration) / 1e6 AS ms FROM otel_traces "
        "WHERE SpanKind = 'Client' GROUP BY 1, 2 ORDER BY ms DESC LIMIT 3",
        "slow requests": "SELECT count() FROM otel_traces WHERE SpanKind = 'Server' AND Duration > 1000000000",
        "kinds": "SELECT SpanKind AS kind, count() AS n FROM otel_traces GROUP BY 1 ORDER BY n DESC",
        "spans": "SELECT count() FROM otel_traces",
    }


def _traces(day: Day) -> Mapping[str, str]:
    slowest = f"WHERE TraceId = '{day.slowest}'"
    own = (
        "SELECT s.SpanId, s.ServiceName, s.SpanName, (s.Duration - sum(c.Duration)) / 1e6 AS own_ms FROM otel_traces s "
        "LEFT JOIN otel_traces c ON c.TraceId = s.TraceId AND c.ParentSpanId = s.SpanId "
        f"WHERE s.TraceId = '{day.slowest}' AND s.ServiceName NOT LIKE '%gateway%' AND s.ServiceName NOT LIKE '%ui-%' "
        "GROUP BY s.SpanId, s.ServiceName, s.SpanName, s.Duration ORDER BY own_ms DESC LIMIT 5"
    )
    return {
        "slowest trace": "SELECT TraceId, (max(toUnixTimestamp64Nano(Timestamp) + Duration) - "
        "min(toUnixTimestamp64Nano(Timestamp))) / 1e6 AS ms FROM otel_traces GROUP BY 1 ORDER BY ms DESC LIMIT 3",
        "spans of slowest": f"SELECT count() FROM otel_traces {slowest}",
        "time of slowest": own,
        "largest trace": "SELECT TraceId, count() AS n FROM otel_traces GROUP BY 1 ORDER BY n DESC LIMIT 1",
        "services of largest": f"SELECT uniqExact(ServiceName) FROM otel_traces WHERE TraceId = '{day.largest}'",
        "traces": "SELECT uniqExact(TraceId) FROM otel_traces",
    }


def _logs(day: Day) -> Mapping[str, str]:
    return {
        "errors": "SELECT count() FROM otel_logs WHERE SeverityNumber >= 17",
        "commonest error": f"SELECT {_MESSAGE} AS message, count() AS n FROM otel_logs "
        "WHERE SeverityNumber >= 17 GROUP BY 1 ORDER BY n DESC LIMIT 5",
        "count of error": f"SELECT count() FROM otel_logs WHERE Body LIKE '%{day.phrase}%'",
        "logs of slowest": f"SELECT ServiceName, left({_MESSAGE}, 150) AS message, count() AS n "
        f"FROM otel_logs WHERE TraceId = '{day.slowest}' GROUP BY 1, 2 ORDER BY n DESC LIMIT 50",
        "loudest service": "SELECT ServiceName, count() AS n FROM otel_logs GROUP BY 1 ORDER BY n DESC LIMIT 3",
        "warnings": "SELECT count() FROM otel_logs WHERE SeverityNumber BETWEEN 13 AND 16",
        "pod with errors": "SELECT ResourceAttributes['k8s.pod.name'] AS pod, count() AS n FROM otel_logs "
        "WHERE SeverityNumber >= 17 GROUP BY 1 ORDER BY n DESC LIMIT 3",
        "minute of errors": "SELECT toStartOfMinute(Timestamp, 'UTC') AS minute, count() AS n FROM otel_logs "
        "WHERE SeverityNumber >= 17 GROUP BY 1 ORDER BY n DESC LIMIT 3",
        "logs without trace": "SELECT count() FROM otel_logs WHERE TraceId = ''",
    }


def _metrics(day: Day) -> Mapping[str, str]:
    most = (
        "SELECT ServiceName, max(Value) AS most FROM otel_metrics_gauge WHERE MetricName = '{}' GROUP BY 1 "
        "ORDER BY most DESC LIMIT 3"
    )
    of = "FROM otel_metrics_gauge WHERE MetricName = '{}' AND ServiceName = '" + day.callee + "'"
    return {
        "metrics": "SELECT DISTINCT MetricName, MetricUnit FROM otel_metrics_gauge",
        "most memory": most.format(MEMORY),
        "most processor": most.format(PROCESSOR),
        "peak of processor": f"SELECT max(Value) {of.format(PROCESSOR)}",
        "mean of processor": f"SELECT avg(Value) {of.format(PROCESSOR)}",
        "pods": "SELECT uniqExact(ResourceAttributes['k8s.pod.name']) FROM otel_metrics_gauge",
    }


def _cause(fault: Fault, minutes: int) -> Sequence[PeerCall]:
    """Return queries that compare the three minutes with the rest of the day, the greatest difference first."""
    start, end = fault.minute // 10**9, (fault.minute + 3 * MINUTE) // 10**9
    log, span, point = (
        f"({column} >= toDateTime({start}, 'UTC') AND {column} < toDateTime({end}, 'UTC'))"
        for column in ("Timestamp", "Timestamp", "TimeUnix")
    )
    return [
        _query(
            f"SELECT ServiceName, countIf({log} AND SeverityNumber >= 17) / countIf({log}) AS now, "
            f"countIf(NOT {log} AND SeverityNumber >= 17) / countIf(NOT {log}) AS usual FROM otel_logs GROUP BY 1 "
            "HAVING now > 0 ORDER BY now - usual DESC LIMIT 5"
        ),
        _query(
            f"SELECT ServiceName, {_MESSAGE} AS message, countIf({log}) AS now, "
            f"countIf(NOT {log}) * 3 / {minutes - 3} AS usual FROM otel_logs "
            "GROUP BY 1, 2 HAVING usual > 10 ORDER BY abs(now - usual) / sqrt(usual) DESC LIMIT 5"
        ),
        _query(
            f"SELECT ServiceName, SpanName, avgIf(Duration, {span}) / 1e6 AS now_ms, "
            f"avgIf(Duration, NOT {span}) / 1e6 AS usual_ms FROM otel_traces GROUP BY 1, 2 "
            f"HAVING countIf({span}) >= 10 AND usual_ms > 1 ORDER BY now_ms / usual_ms DESC LIMIT 5"
        ),
        _query(
            f"SELECT ServiceName, avgIf(Value, {point}) AS now, avgIf(Value, NOT {point}) AS usual "
            f"FROM otel_metrics_gauge WHERE MetricName = '{PROCESSOR}' GROUP BY 1 HAVING usual > 1 "
            "ORDER BY now / usual DESC LIMIT 5"
        ),
    ]
