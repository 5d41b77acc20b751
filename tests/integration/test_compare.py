"""The tool compare over a real store: faults of the usual kinds in a small shop are found first, and a mix is none.

The shop sends an hour of one request a second through three services; each fault has two minutes of its own.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.deadlines import wait_until
from tests.support.otlp_json import send_gauge, send_records
from tests.support.stdio_conversation import StdioConversation
from tests.support.telemetry_records import MS, START
from tests.support.telemetry_stores import asking, telemetry_store
from tfo_mcp.analysis.times import show_time
from tfo_mcp.application.ports.telemetry_store import SpanEvent
from tfo_mcp.infrastructure.telemetry_store.database import TelemetryDatabase
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces
from tfo_mcp.plugins.telemetry import LogRecord, Span

MINUTE = 60_000 * MS
MINUTES = 56
FAULTS = {
    10: "slow",
    14: "early return",
    18: "exception",
    22: "network delay",
    26: "processor",
    30: "mix",
    34: "repeated",
    38: "shortened",
    42: "clock",
    46: "version",
    50: "leak",
}
"""The first minute of each fault, which lasts two."""
CULPRITS = {
    "slow": "stock",
    "early return": "orders",
    "exception": "stock",
    "network delay": "orders",
    "processor": "gateway",
    "repeated": "orders",
    "shortened": "stock",
    "clock": "stock",
    "version": "orders",
    "leak": "stock",
}


def fault_at(minute: int) -> str:
    """Return the fault of a minute, empty for a healthy one."""
    return FAULTS.get(minute - minute % 2, "") if minute >= 10 else ""


class Request:
    """One request: gateway, orders, stock and its database, changed by a fault."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.start = START + number * 2000 * MS
        self.fault = fault_at(number * 2 // 60)
        self.trace = f"{number + 1:032x}"
        self.jitter = number * 7 % 5
        self.spans: list[Span] = []
        self.logs: list[LogRecord] = []
        wide = number % 4 == 0 or self.fault == "mix"
        self._gateway("GET /report" if wide else "GET /cart")

    def _span(self, parent: str, service: str, name: str, duration: int, kind: Any, **more: Any) -> str:
        span_id = f"{int(self.trace, 16) * 100 + len(self.spans):016x}"
        at, length = self.start, (duration + self.jitter) * MS
        if self.fault == "clock" and service == "stock":
            at += 3000 * MS
        self.spans.append(Span(self.trace, span_id, parent, service, name, at, length, kind, **more))
        return span_id

    def _log(self, span_id: str, service: str, body: str, severity: int = 9) -> None:
        self.logs.append(LogRecord(self.start, service, body, severity, "", self.trace, span_id))

    def _gateway(self, name: str) -> None:
        slower = {"slow": 80, "network delay": 90}.get(self.fault, 0)
        root = self._span("", "gateway", name, (300 if name == "GET /report" else 60) + slower, "server")
        call = self._span(root, "gateway", "POST", 40 + slower, "client")
        self._orders(call, slower)

    def _orders(self, parent: str, slower: int) -> None:
        is_new = self.fault == "version"
        flag = {"feature_flag.key": "fast stock", "feature_flag.result.variant": "on" if is_new else "off"}
        more: Any = {
            "resource": {"service.version": "1.5" if is_new else "1.4"},
            "events": (SpanEvent(self.start, "feature_flag.evaluation", flag),),
        }
        handler = self._span(parent, "orders", "POST /orders", 38 + slower, "server", **more)
        if self.fault == "early return":
            return
        self._log(handler, "orders", "checking the stock of 7 items")
        for _ in range(6 if self.fault in ("repeated", "version") else 1):
            call = self._span(handler, "orders", "GET", 25 + slower, "client")
            self._stock(call, 80 if self.fault == "slow" else 0)

    def _stock(self, parent: str, slower: int) -> None:
        failing = self.fault == "exception"
        status: Any = {"status": "error"} if failing else {}
        handler = self._span(parent, "stock", "GET /stock", 22 + slower, "server", **status)
        if failing:
            self._log(handler, "stock", "NullPointerException in Stock.find", 17)
        else:
            self._span(handler, "stock", "SELECT stock", 8, "client")
        self._shelves(handler, self.number % 2 * (1 + self.number // 60 % 3))

    def _shelves(self, handler: str, count: int) -> None:
        """Log two messages per shelf, of which there are more in some minutes; a shortened loop logs one."""
        for shelf in range(count):
            self._log(handler, "stock", f"looking at shelf {self.number}-{shelf}")
            if self.fault != "shortened" or shelf % 2:
                self._log(handler, "stock", f"items on shelf {self.number}-{shelf}")


@pytest.fixture(scope="module")
def client() -> Iterator[StdioConversation]:
    requests = [Request(number) for number in range(MINUTES * 30)]
    spans = [span for request in requests for span in request.spans]
    with telemetry_store({"max_age_seconds": 10**9}) as store:
        logs = [log for request in requests for log in request.logs]
        send_records(store.http, [*spans, *spans[:50]], [*logs, *logs[:300]])
        values = [(START + minute * MINUTE, 4.0 + minute % 3) for minute in range(MINUTES)]
        busy = [(at, 500.0 if fault_at((at - START) // MINUTE) == "processor" else value) for at, value in values]
        send_gauge(store.http, "gateway", "process.cpu.usage", busy)
        used = [(at, 9e8 if fault_at((at - START) // MINUTE) == "leak" else 2e8 + value) for at, value in values]
        send_gauge(store.http, "stock", "process.memory.usage", used, as_sum=True)
        wait_until(lambda: store.ask(lambda asked: asked.status()).points == 2 * MINUTES, "all points are stored")
        with asking(store) as conversation:
            yield conversation


def compare(client: StdioConversation, fault: str, **arguments: Any) -> str:
    """Return the answer about the minutes of a fault, against the whole hour."""
    first = START + next(minute for minute, name in FAULTS.items() if name == fault) * MINUTE
    period = {"from": show_time(first), "to": show_time(first + 2 * MINUTE)}
    return client.text("compare", {**period, "baseline": f"{show_time(START)}/{show_time(first)}", **arguments})


def rows(answer: str) -> Sequence[dict[str, str]]:
    """Return the rows of the answer's table."""
    table = answer.partition("<telemetry-data>\n")[2].partition("\n</telemetry-data>")[0]
    return list(csv.DictReader(table.split("\n")))


class TestFaults:
    @pytest.mark.parametrize(("fault", "culprit"), CULPRITS.items())
    def test_the_service_where_it_begins_is_first(self, client: StdioConversation, fault: str, culprit: str) -> None:
        found = rows(compare(client, fault))
        assert found[0]["service"] == culprit, found

    @pytest.mark.parametrize(
        ("fault", "change", "words"),
        [
            ("slow", "own time", "GET /stock"),
            ("network delay", "time between client and server", "stock GET /stock"),
            ("early return", "spans with this call", "POST /orders"),
            ("exception", "records of this per span", "GET /stock"),
            ("processor", "metric", ""),
            ("repeated", "calls per span", "POST /orders"),
            ("shortened", "records in a fixed ratio", "GET /stock"),
            ("clock", "clock ahead or behind", "stock GET /stock"),
            ("leak", "metric", ""),
        ],
    )
    def test_the_evidence_names_the_operation(
        self, client: StdioConversation, fault: str, change: str, words: str
    ) -> None:
        own = [row for row in rows(compare(client, fault)) if row["rank"] == "1" and row["change"] == change]
        assert [row for row in own if words in row["operation"]], own

    def test_a_new_version_and_flags_come_with_what_changed_in_their_service(self, client: StdioConversation) -> None:
        found = rows(compare(client, "version"))
        said = [(row["change"], row["operation"], row["of"], row["usual"], row["now"]) for row in found]
        assert sorted(said[:2]) == [
            ("spans with this value", "POST /orders", "feature flag fast stock = on", "0", "1"),
            ("spans with this value", "POST /orders", "service.version = 1.5", "0", "1"),
        ]
        assert said[2][0] == "calls per span"

    def test_another_mix_of_requests_is_noise(self, client: StdioConversation) -> None:
        assert "nothing beyond noise" in compare(client, "mix")

    def test_an_example_trace_shows_a_change(self, client: StdioConversation) -> None:
        row = next(row for row in rows(compare(client, "exception")) if row["change"] == "records of this per span")
        assert "NullPointerException" in client.text("search_logs", {"trace_id": row["trace"], "show": "lines"})


class TestArguments:
    def test_a_filter_compares_what_matches(self, client: StdioConversation) -> None:
        answer = compare(client, "slow", where='service.name = "stock"')
        assert {row["service"] for row in rows(answer)} == {"stock"}

    @pytest.mark.parametrize(
        ("baseline", "message"),
        [("1h ago", "FROM/TO"), ("2020-01-01T00:00:00Z/2025-01-01T00:00:00Z", "1000 times"), ("x/y", "Unknown time")],
    )
    def test_an_unusable_baseline_is_refused(self, client: StdioConversation, baseline: str, message: str) -> None:
        period = {"from": show_time(START), "to": show_time(START + MINUTE)}
        result = client.tool("compare", {**period, "baseline": baseline})
        assert result["isError"]
        assert message in result["content"][0]["text"]

    def test_an_empty_baseline_and_an_empty_period_say_so(self, client: StdioConversation) -> None:
        first = {"from": show_time(START), "to": show_time(START + MINUTE)}
        assert "No span matches in the baseline" in client.text("compare", first)
        long_ago = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T01:00:00Z"}
        assert "The period is empty" in client.text("compare", long_ago)

    def test_a_short_baseline_is_divided_into_shorter_parts(self, client: StdioConversation) -> None:
        baseline = f"{show_time(START + 8 * MINUTE)}/{show_time(START + 10 * MINUTE)}"
        answer = compare(client, "slow", baseline=baseline)
        assert "against 6 periods of 20 s in" in answer
        assert rows(answer)[0]["service"] == "stock"

    def test_the_default_baseline_is_the_time_before(self, client: StdioConversation) -> None:
        answer = compare(client, "slow", baseline="")
        assert "against 5 periods of this length" in answer
        assert rows(answer)[0]["service"] == "stock"


BUSY = f"""
INSERT INTO otel_traces BY NAME SELECT
    make_timestamp_ns({START} + i * 1700000) AS Timestamp, printf('%032x', 1 + i) AS TraceId,
    printf('%016x', 1 + i) AS SpanId, '' AS ParentSpanId, '' AS TraceState, 'GET /' || i % 5 AS SpanName,
    'Server' AS SpanKind, 'service ' || i % 2 AS ServiceName, MAP {{}} AS ResourceAttributes, '' AS ScopeName,
    MAP {{}} AS SpanAttributes, 1000000 * (10 + i % 3 + if(i > 423700 AND i % 2 = 1, 90, 0)) AS Duration,
    'Unset' AS StatusCode, '' AS StatusMessage, [] AS Events, [] AS Links
FROM range(459000) AS numbers(i)"""
"""Thirteen minutes of 35,300 spans each; in the last one a service of two is slower."""


def test_a_busy_period_is_compared_by_a_share_of_its_traces(tmp_path: Path) -> None:
    places = StorePlaces(tmp_path / "tfo-mcp" / "telemetry")
    places.directory.mkdir(mode=0o700, parents=True)
    before = os.umask(0o077)
    try:
        database = TelemetryDatabase(places.database)
        database.change(BUSY)
        database.close()
    finally:
        os.umask(before)
    with telemetry_store({"max_age_seconds": 10**9}, tmp_path) as store, asking(store) as client:
        period = {"from": show_time(START + 12 * MINUTE), "to": show_time(START + 13 * MINUTE)}
        answer = client.text("compare", period)
    assert "(read: 1 of 1 traces of the period, 1 of 2 of those before)" in answer
    first = rows(answer)[0]
    assert (first["service"], first["change"]) == ("service 1", "own time")
    assert 17_000 < int(first["spans"]) < 18_000  # a short period is read whole, however long those before it are
