"""The stores that the contract of TelemetryStore is run over, each filled with the same records.

The embedded store receives them over OTLP, and so does a ClickHouse that the server fills, in tables of its own
(`written`); otherwise ClickHouse holds them in each of the shapes of schema that it is read in.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.support.clickhouse import SHAPES, ClickHouseServer, Gauge, Shape, TelemetryDatabase, clickhouse_store
from tests.support.otlp_json import send_gauge, send_records
from tests.support.telemetry_records import MS, START, shop_logs, shop_trace, span
from tests.support.telemetry_stores import RunningStore, telemetry_store, written_store
from tfo_mcp.application.ports.telemetry_query import Window
from tfo_mcp.application.ports.telemetry_store import LogRecord, Span, TelemetryStore

STORES = ("embedded", *SHAPES, "written")
WINDOW = Window(START - 60_000 * MS, START + 60_000 * MS)
OTHER_TRACE = "c" * 32
ODD_NAME, ODD_VALUE = "we`ird 'key\\", 'it\'s\t\\ "ok"'
GAUGES = [Gauge("stock", "process.cpu.usage", START + number * 1000 * MS, float(number)) for number in range(5)]


@dataclass(frozen=True)
class FilledStore:
    """A store that holds `spans()`, `logs()` and GAUGES."""

    kind: str
    store: TelemetryStore


def spans() -> Sequence[Span]:
    """Return the spans of the shop, of acme; and a short trace of globex in another version, whose attributes lie."""
    acme = {"tenant.id": "acme", "service.version": "1.0"}
    globex = {"tenant.id": "globex", "service.version": "2.0"}
    lie = {"tenant.id": "acme", "http.response.status_code": "503", "cached": "true", ODD_NAME: ODD_VALUE}
    lie |= {"feature_flag.key": "beta", "feature_flag.result.variant": "on"}
    other = span("f1", "", "GET /other", 500, 30, kind="server", service="orders", resource=globex, attributes=lie)
    return [
        *(replace(each, resource=acme) for each in shop_trace(40)),
        replace(other, trace_id=OTHER_TRACE),
    ]


def logs() -> Sequence[LogRecord]:
    """Return the log records of the shop, of acme."""
    return [replace(each, resource={"tenant.id": "acme"}) for each in shop_logs(200)]


@contextmanager
def filled_store(kind: str, server: "ClickHouseServer | None") -> Iterator[FilledStore]:
    """Yield a store with the records.

    Args:
        kind: one of STORES.
        server: where the database is created; None for the embedded store.
    """
    if server is None:
        with telemetry_store({"max_age_seconds": 10**9}) as running:
            _send(running)
            yield FilledStore(kind, running.client)
        return
    if kind == "written":
        server.execute("CREATE DATABASE contract_written")
        with (
            written_store(server, "contract_written") as running,
            clickhouse_store(server.url("contract_written")) as store,
        ):
            _send(running)
            yield FilledStore(kind, store)
        return
    shape: Shape = next(shape for shape in SHAPES if shape == kind)
    database = TelemetryDatabase(server, f"contract_{shape}", shape)
    database.create()
    database.add(spans(), logs(), GAUGES)
    with clickhouse_store(server.url(database.name)) as store:
        yield FilledStore(kind, store)


def _send(running: RunningStore) -> None:
    send_records(running.http, spans(), logs())
    for gauge in GAUGES:
        send_gauge(running.http, gauge.service, gauge.name, [(gauge.time, gauge.value)])
