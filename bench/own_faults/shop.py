"""Starts the shop: PostgreSQL, Redis, a bank, a telemetry store, and the instrumented services that send to it.

Owns processes, addresses and the file of switches. Knows no fault.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench.own_faults.bank import Bank, running_bank
from bench.own_faults.load import ACCOUNTS, CATEGORIES, PRODUCTS
from tests.instrumented.environments import OUTPUTS, node_program, python_program, web_program
from tests.support.deadlines import PATIENCE
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.processes import LOOPBACK, PROJECT, Child, free_port
from tests.support.programs import await_answer, program
from tests.support.redis_server import RedisServer, redis_server
from tests.support.telemetry_stores import RunningStore, telemetry_store

PROGRAMS = "bench.own_faults.programs"
OLD, NEW = "1.4.0", "1.5.0"
"""Versions of the catalog; both run, and the front asks one of them."""
INDEX = "CREATE INDEX of_category ON products (category, rank)"
_ALL_PRODUCTS = 200_000
_TABLES = (
    "CREATE TABLE products (number integer PRIMARY KEY, category text NOT NULL, rank integer NOT NULL, name text)",
    "CREATE TABLE prices (number integer PRIMARY KEY, cents integer NOT NULL)",
    "CREATE TABLE accounts (number integer PRIMARY KEY, cents bigint NOT NULL)",
    "CREATE TABLE shipments (number bigserial PRIMARY KEY, product integer NOT NULL)",
    f"INSERT INTO products SELECT number, 'c' || number % {CATEGORIES}, hashint4(number), 'product ' || number "
    f"FROM generate_series(1, {_ALL_PRODUCTS}) number",
    f"INSERT INTO prices SELECT number, 100 + number % 9900 FROM generate_series(1, {_ALL_PRODUCTS}) number",
    f"INSERT INTO accounts SELECT number, 0 FROM generate_series(1, {ACCOUNTS}) number",
    INDEX,
    "ANALYZE",
)


@dataclass
class Shop:
    """A running shop."""

    postgres: PostgresServer
    redis: RedisServer
    bank: Bank
    store: RunningStore
    database: str
    """The name of the database."""
    directory: Path
    front: str = ""
    catalogs: dict[str, str] = field(default_factory=dict)
    """The base URLs of the catalog by version."""
    _switches: dict[str, Any] = field(default_factory=dict)

    @property
    def switches_file(self) -> Path:
        """The file that all services read."""
        return self.directory / "switches.json"

    def switch(self, name: str, value: Any) -> None:
        """Set a switch of the services."""
        self._switches[name] = value
        new = self.directory / "switches.new"
        new.write_text(json.dumps(self._switches))
        new.replace(self.switches_file)

    def sql(self, statement: str) -> str:
        """Run a statement in the database of the shop."""
        return self.postgres.sql(self.database, statement)

    def warm(self) -> None:
        """Ask for every product once, so that it is cached."""
        with httpx.Client(base_url=self.front, timeout=PATIENCE, trust_env=False) as client:
            for number in range(1, PRODUCTS + 1):
                client.get(f"/products/{number}").raise_for_status()

    def variables(self, service: str, **more: str) -> Mapping[str, str]:
        """Return the environment of a service."""
        return {
            **OUTPUTS,
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.store.http,
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            "OTEL_BLRP_SCHEDULE_DELAY": "1000",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "health",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.fspath(PROJECT),
            "SHOP_SWITCHES": str(self.switches_file),
            "SHOP_DATABASE": self.postgres.url(self.database),
            "SHOP_REDIS": self.redis.url,
            **more,
        }


@contextmanager
def running_shop() -> Iterator[Shop]:
    """Run everything until the end of the block."""
    with (
        TemporaryDirectory(prefix="tfo-mcp-shop-") as place,
        postgres_server() as postgres,
        redis_server() as redis,
        running_bank() as bank,
        telemetry_store() as store,
        ExitStack() as services,
    ):
        database = postgres.new_database().rpartition("/")[2]
        shop = Shop(postgres, redis, bank, store, database, Path(place))
        for statement in _TABLES:
            shop.sql(statement)
        payment, front, catalogs = free_port(), free_port(), {OLD: free_port(), NEW: free_port()}
        shop.catalogs = {version: f"http://{LOOPBACK}:{port}" for version, port in catalogs.items()}
        shop.switch("catalog", shop.catalogs[OLD])
        for version, port in catalogs.items():
            more = {"SHOP_DISCOUNTS": "on"} if version == NEW else {}
            line = web_program(PROJECT, f"{PROGRAMS}.catalog:app", port)
            _start(services, shop, f"catalog-{version}", line, port, service="catalog", version=version, **more)
        line = node_program(Path(__file__).with_name("programs") / "payment.cjs")
        _start(services, shop, "payment", line, payment, SHOP_BANK=bank.url, SHOP_PORT=str(payment))
        line = python_program(["python", "-m", f"{PROGRAMS}.fulfilment"])
        _start(services, shop, "fulfilment", line, None)
        line = web_program(PROJECT, f"{PROGRAMS}.front:app", front)
        _start(services, shop, "front", line, front, SHOP_PAYMENT=f"http://{LOOPBACK}:{payment}")
        shop.front = f"http://{LOOPBACK}:{front}"
        yield shop


def _start(
    services: ExitStack,
    shop: Shop,
    name: str,
    line: Sequence[str],
    port: int | None,
    service: str = "",
    version: str = "1.0.0",
    **more: str,
) -> Child:
    """Start a service, and wait until it answers on its port, if it has one."""
    directory = shop.directory / name
    directory.mkdir()
    attributes = f"service.version={version}"
    variables = shop.variables(service or name, OTEL_RESOURCE_ATTRIBUTES=attributes, **more)
    environ = ["env", *(f"{key}={value}" for key, value in variables.items())]
    running = services.enter_context(program([*environ, *line], directory))
    if port is not None:
        await_answer(running, f"http://{LOOPBACK}:{port}/health")
    return running
