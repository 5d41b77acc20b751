"""ClickHouse as the telemetry store: the tools over it, its limits, and statements that end with their calls."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import anyio
import pytest

from tests.support.clickhouse import (
    PASSWORD,
    USER,
    ClickHouseServer,
    TelemetryDatabase,
    clickhouse_server,
    clickhouse_store,
)
from tests.support.deadlines import PATIENCE, eventually
from tests.support.envelopes import LATEST_HANDSHAKE
from tests.support.processes import LOOPBACK, free_port, stdio_child
from tests.support.stdio_conversation import StdioConversation
from tests.support.telemetry_records import START, TRACE_ID, failed, shop_logs, shop_trace, span
from tests.support.telemetry_stores import ALL
from tfo_mcp.application.ports.telemetry_metrics import (
    ExemplarValue,
    ExponentialPoint,
    HistogramPoint,
    SummaryPoint,
)
from tfo_mcp.domain.errors import OperationFailed, StateUnavailable
from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseAddress, ClickHouseConnection, QueryLimits
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart

PERIOD = {"from": "2025-11-29T09:00:00Z", "to": "2025-11-29T10:10:00Z"}
SLOW = SqlPart("SELECT sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1")
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(scope="module")
def database(server: ClickHouseServer) -> TelemetryDatabase:
    """Return a database of the exporter with the records of the shop."""
    filled = TelemetryDatabase(server, "otel", "maps")
    filled.create()
    filled.add(shop_trace(40), shop_logs())
    return filled


@pytest.fixture
def connection(database: TelemetryDatabase) -> Iterator[ClickHouseConnection]:
    address = ClickHouseAddress(LOOPBACK, database.server.port, database.name, USER, PASSWORD, secure=False)
    connected = ClickHouseConnection(address, QueryLimits())
    yield connected
    connected.close()


def running(server: ClickHouseServer) -> int:
    """Return the number of slow statements that the server executes."""
    return int(server.execute("SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'"))


def test_the_telemetry_tools_answer_from_it(database: TelemetryDatabase) -> None:
    with stdio_child(variables=database.variables) as process:
        client = StdioConversation(process, "2025-06-18")
        client.handshake()
        assert "4 services, 2 spans with errors of 2 kinds" in client.text("telemetry_overview", PERIOD)
        assert TRACE_ID in client.text("search_traces", {**PERIOD, "where": "duration > 30ms and status = error"})
        tree = client.text("get_trace", {"trace_id": TRACE_ID})
        assert "170 spans, 4 services, 2 errors, 20 logs" in tree
        assert "N+1: 40 calls one after the other of SELECT stock below POST /orders" in tree
        assert "Payment of order <*> failed: card declined by <*>" in client.text("search_logs", PERIOD)
        assert "orders,stock" in client.text("service_map", PERIOD)
        assert client.text("telemetry_overview").startswith("Nothing in ")
        client.close()


def test_subscribers_hear_of_errors_that_others_insert(database: TelemetryDatabase) -> None:
    with stdio_child(variables=database.variables) as process:
        client = StdioConversation(process, LATEST_HANDSHAKE)
        client.handshake()
        client.result("resources/subscribe", {"uri": "telemetry://errors"})
        lost = span("a1", "", "GET /stock", 0, 5, service="stock", kind="server", **failed("StockLost", "no stock"))
        now = time.time_ns()
        events = tuple(replace(event, time=now) for event in lost.events)
        database.add([replace(lost, start=now, trace_id="9" * 32, events=events)])
        notice = client.notification("notifications/resources/updated", 2 * PATIENCE)
        assert notice["params"]["uri"] == "telemetry://errors"
        contents = client.result("resources/read", {"uri": "telemetry://errors"})["contents"]
        latest = json.loads(contents[0]["text"])["errors"][0]
        assert (latest["type"], latest["service"], latest["trace_id"]) == ("StockLost", "stock", "9" * 32)
        client.close()


def test_a_database_without_tables_is_said_to_be_empty(server: ClickHouseServer) -> None:
    server.execute("CREATE DATABASE nothing")
    with stdio_child(variables=TelemetryDatabase(server, "nothing", "maps").variables) as process:
        client = StdioConversation(process, "2025-06-18")
        client.handshake()
        answer = client.text("telemetry_overview")
        assert answer.startswith("No telemetry is stored yet.")
        assert "This store does not receive telemetry" in answer
        assert "This ClickHouse database has no table of traces." in answer
        client.close()


async def test_distributions_have_their_buckets_and_exemplars(database: TelemetryDatabase) -> None:
    common = {"ServiceName": "shop", "MetricName": "latency", "TimeUnix": "1764410400.0", "Attributes": {"b": "1"}}
    counted = {**common, "Count": 3, "Sum": 1.5, "AggregationTemporality": 2}
    exemplars = {"Exemplars.Value": [0.5], "Exemplars.TimeUnix": ["1764410400.0"], "Exemplars.SpanId": ["ab"]}
    histogram = {**counted, "Min": 0.1, "Max": 0.9, "BucketCounts": [1, 2, 0], "ExplicitBounds": [0.1, 1.0]}
    traced = {**histogram, **exemplars, "Exemplars.TraceId": [TRACE_ID], "Exemplars.FilteredAttributes": [{}]}
    exponential = {**counted, "Scale": 3, "ZeroCount": 1, "PositiveOffset": -4, "PositiveBucketCounts": [1, 1]}
    quantiles = {"ValueAtQuantiles.Quantile": [0.5], "ValueAtQuantiles.Value": [2.0]}
    database.server.insert("otel.otel_metrics_histogram", [traced])
    database.server.insert("otel.otel_metrics_exponential_histogram", [exponential])
    database.server.insert("otel.otel_metrics_summary", [{**common, "Count": 2, "Sum": 4.0, **quantiles}])
    with clickhouse_store(database.server.url("otel")) as store:
        found = await store.metric_points("latency", ALL, limit=100)
    series = {each.kind: each for each in found.series}
    assert found.total == 4 + 3 + 2
    assert series["histogram"].points == [HistogramPoint(3, 1.5, 0.1, 0.9, [0.1, 1.0], [1, 2, 0])]
    assert series["histogram"].exemplars == [ExemplarValue(0.5, START, TRACE_ID, "ab")]
    assert series["exponential_histogram"].points == [
        ExponentialPoint(3, 1.5, None, None, 3, 1, 0.0, -4, [1, 1], 0, [])
    ]
    assert series["summary"].points == [SummaryPoint(2, 4.0, ((0.5, 2.0),))]
    assert (series["histogram"].temporality, series["histogram"].attributes) == ("cumulative", {"b": "1"})


async def test_a_cancelled_call_stops_its_statement_in_the_server(
    server: ClickHouseServer, connection: ClickHouseConnection
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.rows, SLOW)
        await eventually(lambda: running(server), "the statement runs")
        tasks.cancel_scope.cancel()
    await eventually(lambda: not running(server), "the statement has ended")


async def test_a_statement_beyond_its_time_is_stopped_and_reported(
    server: ClickHouseServer, database: TelemetryDatabase
) -> None:
    address = ClickHouseAddress(LOOPBACK, server.port, database.name, USER, PASSWORD, secure=False)
    limited = ClickHouseConnection(address, QueryLimits(seconds=0.5))
    with pytest.raises(OperationFailed, match=r"longer than telemetry\.store_max_seconds allows"):
        await limited.rows(SLOW)
    await eventually(lambda: not running(server), "the statement has ended")
    limited.close()


async def test_a_statement_reads_no_more_rows_than_allowed(database: TelemetryDatabase) -> None:
    with (
        clickhouse_store(database.server.url(database.name), store_max_rows=100) as store,
        pytest.raises(OperationFailed, match="choose a shorter period or more filters"),
    ):
        await store.spans(ALL, order="latest", limit=1)


@pytest.mark.parametrize("statement", ["DROP TABLE otel_logs", "INSERT INTO otel_logs (Body) VALUES ('x')"])
async def test_nothing_can_be_changed(connection: ClickHouseConnection, statement: str) -> None:
    with pytest.raises(OperationFailed, match="READONLY"):
        await connection.rows(SqlPart(statement))


async def test_wrong_credentials_and_an_absent_server_are_reported(database: TelemetryDatabase) -> None:
    url = database.server.url(database.name)
    with (
        clickhouse_store(url, store_password="wrong") as store,
        pytest.raises(StateUnavailable, match="refuses the credentials"),
    ):
        await store.status()
    absent = url.replace(str(database.server.port), str(free_port()))
    with clickhouse_store(absent) as store, pytest.raises(StateUnavailable, match="cannot be reached"):
        await store.status()


def test_the_address_does_not_show_its_password() -> None:
    address = ClickHouseAddress(LOOPBACK, 8123, "telemetry", USER, PASSWORD, secure=False)
    assert PASSWORD not in repr(address)
    assert PASSWORD not in str(address)
