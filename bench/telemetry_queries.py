"""`python -m bench.telemetry_queries`: ask the telemetry tools about five million spans of a day.

    python -m bench.telemetry_queries --spans 5000000 --rounds 20

Fills a database of the embedded store by itself: 20 services, 320 operations, traces of eight spans, a log record for
every fifth span, and a gauge. Then a stdio server answers the tools, each with its default period and with the whole
day, in rounds. Prints the median and the 95th percentile of each, or why a call failed; it is not made again then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.messages import INITIALIZE, INITIALIZED, Message, encode, parse
from bench.telemetry_store import percentile
from tfo_mcp.infrastructure.telemetry_store.database import TelemetryDatabase
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces

DAY = 86_400 * 10**9
SPANS_OF_TRACE = 8
RECORDS_AT_ONCE = 500_000
DAY_AGO = "24h ago"
_SPAN = f"i % {SPANS_OF_TRACE}"
_TRACE = f"i // {SPANS_OF_TRACE}"
_SERVICE = f"'service ' || ({_TRACE} * 7 + {_SPAN}) % 20"
_NOISE = "hash(i) % 1000"
TRACES = f"""
INSERT INTO otel_traces BY NAME SELECT
    make_timestamp_ns({{start}} + ({_TRACE}) * {{step}} + ({_SPAN}) * 1000000) AS Timestamp,
    printf('%032x', 1 + {_TRACE}) AS TraceId, printf('%016x', 1 + i) AS SpanId,
    CASE WHEN {_SPAN} = 0 THEN '' ELSE printf('%016x', 1 + i - {_SPAN} + ({_SPAN} - 1) // 2) END AS ParentSpanId,
    '' AS TraceState, 'operation ' || ({_SPAN} + {_TRACE} % 40 * {SPANS_OF_TRACE}) AS SpanName,
    CASE WHEN {_SPAN} = 0 THEN 'Server' WHEN {_SPAN} % 2 = 1 THEN 'Client' ELSE 'Server' END AS SpanKind,
    {_SERVICE} AS ServiceName,
    MAP {{{{'service.name': {_SERVICE}, 'service.version': '1.' || {_TRACE} % 3}}}} AS ResourceAttributes,
    '' AS ScopeName, '' AS ScopeVersion,
    MAP {{{{'http.route': '/route/' || {_TRACE} % 40, 'user.id': 'user ' || hash({_TRACE}) % 100000,
        'http.response.status_code': CASE WHEN {_NOISE} < 10 THEN '500' ELSE '200' END,
        'region': 'region ' || {_TRACE} % 4}}}} AS SpanAttributes,
    (1 + {_NOISE} * ({SPANS_OF_TRACE} - {_SPAN})) * 100000 AS Duration,
    CASE WHEN {_NOISE} < 10 THEN 'Error' ELSE 'Unset' END AS StatusCode,
    CASE WHEN {_NOISE} < 10 THEN 'deadline of ' || {_NOISE} || ' ms exceeded' ELSE '' END AS StatusMessage,
    [] AS Events, [] AS Links
FROM range({{first}}, {{end}}) AS numbers(i)"""
TIMES = """
INSERT INTO otel_traces_trace_id_ts
SELECT TraceId, min(Timestamp), max(make_timestamp_ns(epoch_ns(Timestamp) + Duration))
FROM otel_traces GROUP BY TraceId"""
LOGS = f"""
INSERT INTO otel_logs BY NAME SELECT
    make_timestamp_ns({{start}} + i * {{step}}) AS Timestamp, printf('%032x', 1 + i) AS TraceId, '' AS SpanId,
    0 AS TraceFlags, CASE WHEN {_NOISE} < 20 THEN 'ERROR' ELSE 'INFO' END AS SeverityText,
    CASE WHEN {_NOISE} < 20 THEN 17 ELSE 9 END AS SeverityNumber, 'service ' || i % 20 AS ServiceName,
    'request ' || i || ' of kind ' || i % 30 || ' took ' || {_NOISE} || ' ms' AS Body,
    '' AS ResourceSchemaUrl, MAP {{{{'service.name': 'service ' || i % 20}}}} AS ResourceAttributes,
    '' AS ScopeSchemaUrl, '' AS ScopeName, '' AS ScopeVersion, MAP {{{{}}}} AS ScopeAttributes,
    MAP {{{{'thread': 'worker ' || i % 8}}}} AS LogAttributes, '' AS EventName
FROM range({{first}}, {{end}}) AS numbers(i)"""
GAUGE = """
INSERT INTO otel_metrics_gauge BY NAME SELECT
    MAP {{'service.name': 'service ' || i % 20}} AS ResourceAttributes, '' AS ResourceSchemaUrl, '' AS ScopeName,
    '' AS ScopeVersion, MAP {{}} AS ScopeAttributes, 0 AS ScopeDroppedAttrCount, '' AS ScopeSchemaUrl,
    'service ' || i % 20 AS ServiceName, 'process.cpu.utilization' AS MetricName, '' AS MetricDescription,
    '1' AS MetricUnit, MAP {{'state': 'user'}} AS Attributes, make_timestamp_ns({start} + i // 20 * 15000000000)
    AS StartTimeUnix, make_timestamp_ns({start} + i // 20 * 15000000000) AS TimeUnix, 0 AS Flags,
    hash(i) % 1000 / 1000 AS Value, [] AS Exemplars
FROM range(0, 115200) AS numbers(i)"""


def fill(places: StorePlaces, spans: int) -> None:
    """Create the database with records of the last day."""
    os.umask(0o077)  # the store refuses a file that others may read
    places.directory.mkdir(parents=True)
    database = TelemetryDatabase(places.database)
    start, traces = time.time_ns() - DAY + 60 * 10**9, spans // SPANS_OF_TRACE
    for statement, records, step in (
        (TRACES, spans, (DAY - 120 * 10**9) // traces),
        (LOGS, spans // 5, (DAY - 120 * 10**9) * 5 // spans),
    ):
        for first in range(0, records, RECORDS_AT_ONCE):
            end = min(records, first + RECORDS_AT_ONCE)
            database.change(statement.format(start=start, step=step, first=first, end=end))
    database.change(TIMES)
    database.change(GAUGE.format(start=start))
    database.close()


def questions(trace_id: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield a name, a tool and its arguments for each question."""
    tools: Mapping[str, Mapping[str, Any]] = {
        "telemetry_overview": {},
        "find_fields": {"service": "service 3"},
        "search_traces": {"where": 'service.name = "service 3"'},
        "search_logs": {},
        "aggregate": {"measure": "p95", "by": ["name"], "where": 'service.name = "service 3"'},
        "service_map": {},
        "query_metrics": {"metric": "process.cpu.utilization", "by": ["service.name"]},
    }
    yield "get_trace", "get_trace", {"trace_id": trace_id}
    yield "compare, default period", "compare", {}
    yield "compare, an hour", "compare", {"from": "1h ago"}
    sql = "SELECT ServiceName, count(*), quantile_cont(Duration, 0.95) FROM otel_traces GROUP BY 1"
    yield "telemetry_sql, a day", "telemetry_sql", {"query": sql}
    for name, arguments in tools.items():
        yield f"{name}, default period", name, arguments
        yield f"{name}, a day", name, {**arguments, "from": DAY_AGO}


class Server:
    """A stdio server with the telemetry store."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._number: int = INITIALIZE["id"]

    def send(self, message: Message) -> None:
        """Send a message."""
        self._stdin.write(encode(message) + b"\n")
        self._stdin.flush()

    def call(self, tool: str, arguments: Mapping[str, Any]) -> float | str:
        """Return the seconds that a call takes, or why it fails."""
        self._number += 1
        started = time.perf_counter()
        params = {"name": tool, "arguments": dict(arguments)}
        self.send({"jsonrpc": "2.0", "id": self._number, "method": "tools/call", "params": params})
        while True:
            answer = parse(self._stdout.readline())
            if answer.get("id") == self._number:
                break
        seconds = time.perf_counter() - started
        result = answer.get("result", {"isError": True, "content": [answer.get("error")]})
        return str(result["content"][0])[:200] if result["isError"] else seconds


@contextmanager
def stdio_server(home: Path) -> Iterator[Server]:
    """Run a server over stdio; it starts the store."""
    settings = home / "tfo-mcp.yaml"
    settings.write_text("telemetry: {otlp_http_port: 0, otlp_grpc_port: 0}\n", encoding="utf-8")
    line = [sys.executable, "-m", "tfo_mcp", "serve", "--transport", "stdio", "--config", str(settings)]
    environment = {"XDG_STATE_HOME": str(home), "HOME": str(home), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=home
    ) as process:
        server = Server(process)
        server.send(INITIALIZE)
        server.send(INITIALIZED)
        try:
            yield server
        finally:
            process.kill()
            subprocess.run([*line[:3], "telemetry", "stop", "--config", str(settings)], env=environment, check=False)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        places = StorePlaces(home / "tfo-mcp" / "telemetry")
        fill(places, wanted.spans)
        print(f"{wanted.spans:,} spans, {places.database.stat().st_size / 2**20:,.0f} MiB", flush=True)
        asked = list(questions(f"{1 + wanted.spans // SPANS_OF_TRACE // 2:032x}"))
        taken: dict[str, list[float]] = {name: [] for name, _, _ in asked}
        failed: dict[str, str] = {}
        with stdio_server(home) as server:
            for number in range(wanted.rounds + 1):
                for name, tool, arguments in [one for one in asked if one[0] not in failed]:
                    match server.call(tool, arguments):
                        case str() as reason:
                            failed[name] = reason
                        case seconds if number:  # the first round starts the store
                            taken[name].append(seconds)
        for name, seconds_of in taken.items():
            fast, slow = percentile(seconds_of, 0.5), percentile(seconds_of, 0.95)
            print(f"{name:38} " + failed.get(name, f"p50 {fast:7,.0f} ms  p95 {slow:7,.0f} ms"))


if __name__ == "__main__":
    main()
