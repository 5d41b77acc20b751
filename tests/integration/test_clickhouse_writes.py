"""A ClickHouse that the server fills: what is sent is what is read, once, and only its own tables are changed."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest

from tests.support.clickhouse import (
    PASSWORD,
    USER,
    ClickHouseServer,
    TelemetryDatabase,
    clickhouse_server,
    clickhouse_store,
)
from tests.support.deadlines import PATIENCE, eventually, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.otlp_json import send_records
from tests.support.otlp_senders import exporters, send_everything
from tests.support.processes import LOOPBACK, NO_TLS, run_command, stdio_child
from tests.support.stdio_conversation import StdioConversation
from tests.support.telemetry_records import MS, START, shop_trace, span
from tests.support.telemetry_stores import ALL, EVER, RunningStore, telemetry_store, written_store
from tfo_mcp.application.ports.telemetry_query import Comparison, FieldName, Window
from tfo_mcp.application.ports.telemetry_writer import RecordsNotWritten
from tfo_mcp.builtin.telemetry.otlp_json import traces_data
from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseAddress
from tfo_mcp.infrastructure.clickhouse.tables import WrittenTable
from tfo_mcp.infrastructure.clickhouse.writer import ClickHouseWriter
from tfo_mcp.infrastructure.telemetry_store.protocol import encoded
from tfo_mcp.infrastructure.telemetry_store.tables import TABLES

AGE = 10**9  # seconds: the records of the tests are not of today
HOUR = 3600 * 1000 * MS
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture
def database(server: ClickHouseServer) -> str:
    """Return the name of an empty database."""
    name = f"written_{token_hex(4)}"
    server.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def proxy(server: ClickHouseServer) -> Iterator[FaultyProxy]:
    with faulty_proxy(server.port) as running:
        yield running


def writer_to(port: int, database: str, max_age_seconds: float = AGE) -> ClickHouseWriter:
    address = ClickHouseAddress(LOOPBACK, port, database, USER, PASSWORD, secure=False)
    tables = [WrittenTable(table.name, table.columns, table.time) for table in TABLES]
    return ClickHouseWriter(address, tables, max_age_seconds)


def row(seconds: int, trace_id: str = "a", **more: Any) -> bytes:
    """Return a row of a span that began at a time since 1970."""
    shown = {"Timestamp": f"{seconds:010}.000000000", "TraceId": trace_id, "ServiceName": "shop", **more}
    return json.dumps({**shown, "SpanKind": "Server", "Duration": 1_000_000}).encode()


def count(server: ClickHouseServer, table: str) -> int:
    return int(server.execute(f"SELECT count() FROM {table}"))


def contents(store: RunningStore) -> tuple[int, int, int]:
    """Return the numbers of spans, log records and metric points."""
    status = store.ask(lambda client: client.status())
    return status.spans, status.logs, status.points


async def test_what_an_sdk_sends_is_read_back_as_from_the_embedded_store(
    server: ClickHouseServer, database: str
) -> None:
    with telemetry_store() as embedded, written_store(server, database, {"forward": embedded.http}) as receiver:
        trace_id = send_everything("shop", *exporters("grpc", receiver.grpc))
        with clickhouse_store(server.url(database)) as store:
            await eventually(lambda: contents(embedded) == (2, 1, 5), "the embedded store has a copy")
            copy = embedded.client
            assert encoded(await store.trace(trace_id, 100)) == encoded(await copy.trace(trace_id, 100))
            for query in ("logs", "spans"):
                one, other = [await getattr(each, query)(ALL, order="latest", limit=10) for each in (store, copy)]
                assert encoded(one) == encoded(other)
            metrics = await store.metrics(ALL, about=None, limit=10)
            assert {each.name for each in metrics} == {"requests", "open", "level", "latency", "exponential"}
            for name in (each.name for each in metrics):
                found = await store.metric_points(name, ALL, limit=10)
                assert encoded(found) == encoded(await copy.metric_points(name, ALL, limit=10)), name


def test_a_request_that_is_sent_again_is_stored_once(server: ClickHouseServer, database: str) -> None:
    body = traces_data(shop_trace(3))
    with written_store(server, database) as receiver:
        for _ in range(3):
            sent = httpx.post(f"{receiver.http}/v1/traces", json=body, verify=NO_TLS, timeout=60)
            assert sent.status_code == httpx.codes.OK
    assert count(server, f"{database}.otel_traces") == len(shop_trace(3))


def test_an_insert_that_is_repeated_counts_once_in_the_rollup_too(server: ClickHouseServer, database: str) -> None:
    writer = writer_to(server.port, database)
    for _ in range(2):
        writer.insert({"otel_traces": [row(1_700_000_000), row(1_700_000_001)]})
    writer.close()
    assert count(server, f"{database}.otel_traces") == 2
    assert int(server.execute(f"SELECT sum(Spans) FROM {database}.tfo_mcp_requests_minute")) == 2


def test_a_connection_that_is_lost_for_a_moment_loses_nothing(
    server: ClickHouseServer, database: str, proxy: FaultyProxy
) -> None:
    writer = writer_to(proxy.port, database)
    writer.insert({"otel_traces": [row(1_700_000_000)]})
    proxy.begin("reset")
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(writer.insert, {"otel_traces": [row(1_700_000_001)]})
        wait_until(lambda: proxy.refused, "an attempt has failed")
        proxy.begin("none")
        work.result(PATIENCE)
    writer.close()
    assert count(server, f"{database}.otel_traces") == 2


def test_while_clickhouse_is_away_senders_are_asked_to_send_again(
    server: ClickHouseServer, database: str, proxy: FaultyProxy
) -> None:
    behind = ClickHouseServer(server.child, proxy.port)
    body = traces_data(shop_trace(3))

    def post(receiver: RunningStore) -> int:
        return httpx.post(f"{receiver.http}/v1/traces", json=body, verify=NO_TLS, timeout=60).status_code

    with written_store(behind, database) as receiver:
        proxy.begin("reset")
        assert post(receiver) == httpx.codes.SERVICE_UNAVAILABLE
        proxy.begin("none")
        assert post(receiver) == httpx.codes.OK
    assert count(server, f"{database}.otel_traces") == len(shop_trace(3))


async def test_long_windows_are_answered_by_the_rollup_as_by_the_spans(server: ClickHouseServer, database: str) -> None:
    spans = [
        span(f"{number + 1:x}", "", "GET /", number * 21_600, 1 + number % 50, kind="server", service="shop")
        for number in range(500)
    ]
    window = Window(START + 90_001 * MS, START + 2 * HOUR + 1_234 * MS)
    with written_store(server, database) as receiver:
        send_records(receiver.http, spans)
        with clickhouse_store(server.url(database)) as store:
            (rolled,) = await store.services(window)
            (exact,) = await store.restricted(Comparison(FieldName("service.name"), "=", "shop")).services(window)
            (every,) = await store.services(EVER)
    for name in ("name", "first", "last", "requests", "errors", "spans"):
        assert getattr(rolled, name) == getattr(exact, name), name
    assert rolled.p50 == pytest.approx(exact.p50, rel=0.05)
    assert rolled.p95 == pytest.approx(exact.p95, rel=0.05)
    assert every.spans == 500


def test_records_are_deleted_at_their_age_which_can_be_changed(server: ClickHouseServer, database: str) -> None:
    now = int(time.time())
    old, fresh = row(now - 7200, "a"), row(now, "b")
    for max_age_seconds, kept in ((10_000, 2), (3600, 1)):
        writer = writer_to(server.port, database, max_age_seconds)
        writer.insert({"otel_traces": [old, fresh]})
        writer.close()
        server.execute(f"ALTER TABLE {database}.otel_traces MATERIALIZE TTL")
        wait_until(lambda kept=kept: count(server, f"{database}.otel_traces") == kept, f"{kept} are kept")  # type: ignore[misc]


def test_tables_of_others_are_filled_and_never_changed(server: ClickHouseServer, database: str) -> None:
    server.execute(f"DROP DATABASE {database}")
    TelemetryDatabase(server, database, "maps").create()
    tables = f"SELECT name, create_table_query FROM system.tables WHERE database = '{database}' ORDER BY name"
    before = server.execute(tables)
    writer = writer_to(server.port, database)
    times = json.dumps({"TraceId": "a", "Start": "1700000000.000000000", "End": "1700000000.000000000"}).encode()
    writer.insert({"otel_traces": [row(1_700_000_000)], "otel_traces_trace_id_ts": [times]})
    writer.close()
    assert server.execute(tables) == before
    assert count(server, f"{database}.otel_traces") == 1
    assert count(server, f"{database}.otel_traces_trace_id_ts") == 1, "the exporter's view fills it"


def test_tables_of_the_platform_are_not_hidden_by_new_ones(server: ClickHouseServer, database: str) -> None:
    server.execute(f"DROP DATABASE {database}")
    TelemetryDatabase(server, database, "telemetryflow").create()
    writer = writer_to(server.port, database)
    with pytest.raises(RecordsNotWritten, match="other programs fill"):
        writer.insert({"otel_traces": [row(1_700_000_000)]})
    writer.close()


def test_times_of_many_days_are_stored(server: ClickHouseServer, database: str) -> None:
    writer = writer_to(server.port, database)
    writer.insert({"otel_traces": [row(day * 86_400) for day in (*range(20_000, 20_150), 106_000)]})
    writer.close()
    assert count(server, f"{database}.otel_traces") >= 150


def test_the_process_refuses_to_fill_what_others_fill(server: ClickHouseServer, database: str, tmp_path: Path) -> None:
    variables = {**TelemetryDatabase(server, database, "maps").variables, "XDG_STATE_HOME": os.fspath(tmp_path)}
    done = run_command("telemetry", "serve", variables=variables)
    assert done.returncode == 2
    assert "set telemetry.store_writes" in done.stderr


def test_a_server_starts_the_receiver_and_stores_its_own_calls(
    server: ClickHouseServer, database: str, tmp_path: Path
) -> None:
    variables = {
        **TelemetryDatabase(server, database, "maps").variables,
        "XDG_STATE_HOME": os.fspath(tmp_path),
        "TELEMETRYFLOW_MCP_TELEMETRY_STORE_WRITES": "true",
        "TELEMETRYFLOW_MCP_TELEMETRY_OTLP_HTTP_PORT": "0",
        "TELEMETRYFLOW_MCP_TELEMETRY_OTLP_GRPC_PORT": "0",
    }
    try:
        with stdio_child(variables=variables) as process:
            client = StdioConversation(process, LATEST_HANDSHAKE)
            client.handshake()

            def knows_its_calls() -> bool:
                client.text("echo", {"message": "again"})
                return "tfo-mcp" in client.text("telemetry_overview")

            wait_until(knows_its_calls, "its calls are stored", 4 * PATIENCE)
            shown = run_command("telemetry", "status", variables=variables)
            assert "OTLP over HTTP" in shown.stdout, shown.stderr
            counted = run_command("stats", "--json", variables=variables)
            assert "echo" in counted.stdout, counted.stderr
            refused = run_command("telemetry", "clear", "--yes", variables=variables)
            assert "telemetry.store is a ClickHouse" in refused.stderr
            client.close()
    finally:
        assert run_command("telemetry", "stop", variables=variables).returncode == 0
