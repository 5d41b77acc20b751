"""Runs automatically instrumented programs, and compares what they sent with what the telemetry store holds.

Each program answers requests that reach Redis and PostgreSQL, fail, or log. A proxy between the program and the store
records the requests that the store has acknowledged. Exits with 1 if anything differs. Started by `make instrumented`.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.instrumented.environments import OUTPUTS, node_program, web_program
from tests.instrumented.recording_proxy import recording_proxy
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.processes import LOOPBACK, free_port
from tests.support.programs import await_answer, program
from tests.support.redis_server import redis_server
from tests.support.telemetry_stores import ALL, RunningStore, telemetry_store

PROGRAMS = Path(__file__).with_name("programs")
ORDERS = 40
MOST = 10_000
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
SHOPS: Mapping[str, Callable[[int], Sequence[str]]] = {
    "fastapi": lambda port: web_program(PROGRAMS, "shop:app", port),
    "express": lambda _port: node_program(PROGRAMS / "shop.cjs"),  # its port is the variable SHOP_PORT
}
LEAST_SPANS: Mapping[str, Mapping[str, int]] = {  # of requests for orders, and of what they ask of Redis and PostgreSQL
    "fastapi": {"GET /orders/{number}": 2 * ORDERS + 1, "GET": 2 * ORDERS + 1, "SELECT": ORDERS + 1, "SET": ORDERS},
    "express": {
        "GET /orders/:number": 2 * ORDERS + 1,
        "redis-GET": 2 * ORDERS + 1,
        "pg.query:SELECT": ORDERS + 1,
        "redis-SET": ORDERS,
    },
}


def new_database(postgres: PostgresServer) -> str:
    """Return the URL of a database with orders."""
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    postgres.sql(name, "CREATE TABLE orders (number integer PRIMARY KEY, item text NOT NULL)")
    postgres.sql(name, f"INSERT INTO orders SELECT number, 'item ' || number FROM generate_series(1, {ORDERS}) number")
    return url


def use(port: int) -> None:
    """Order everything twice, ask for an unknown order, and for what is broken."""
    with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=PATIENCE, trust_env=False) as client:
        for _ in range(2):
            for number in range(1, ORDERS + 1):
                answer = client.get(f"/orders/{number}")
                assert answer.json() == {"item": f"item {number}"}, answer
        assert client.get(f"/orders/{ORDERS + 1}").status_code == 404
        assert client.get("/broken").status_code == 500


def records_of(requests: Sequence[Any], signal: str, records: str) -> list[Any]:
    """Return the records of a signal in the acknowledged requests."""
    return [
        record
        for request in requests
        for resource in getattr(request, f"resource_{signal}", ())
        for scope in getattr(resource, f"scope_{signal}")
        for record in getattr(scope, records)
    ]


class Sent:
    """What a program sent, and the store acknowledged."""

    def __init__(self, requests: Sequence[Any]) -> None:
        requests = list(requests)  # the proxy may add some meanwhile
        self.spans = records_of(requests, "spans", "spans")
        self.logs = records_of(requests, "logs", "log_records")
        self.metrics = records_of(requests, "metrics", "metrics")

    def missing(self, service: str) -> list[str]:
        """Return the spans that a program should have sent."""
        client = KINDS.index("client")
        names = Counter(each.name.split(" ")[0] if each.kind == client else each.name for each in self.spans)
        least = LEAST_SPANS[service]
        return [f"{name}: {names[name]} of {count} spans" for name, count in least.items() if names[name] < count]

    def is_whole(self, service: str) -> bool:
        """Return whether everything has arrived that requests cause, and some metrics."""
        return not self.missing(service) and len(self.logs) > ORDERS and bool(self.metrics)


def difference(what: str, expected: Counter[Any], found: Counter[Any]) -> list[str]:
    """Return what is missing, and what is there in addition."""
    missing, more = expected - found, found - expected
    said = [f"{what}: {missing.total()} missing, such as {next(iter(missing))}"] if missing else []
    return said + ([f"{what}: {more.total()} more, such as {next(iter(more))}"] if more else [])


def span_difference(sent: Sent, service: str, store: RunningStore) -> list[str]:
    """Return how the store's spans of a service differ from those that were sent."""
    expected = Counter(
        (
            (each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex()),
            (each.name, KINDS[each.kind], each.start_time_unix_nano, each.end_time_unix_nano),
            (STATUSES[each.status.code], len(each.attributes), len(each.links)),
            tuple((event.name, event.time_unix_nano) for event in each.events),
        )
        for each in sent.spans
    )
    held = store.ask(lambda client: client.spans(ALL, order="earliest", limit=MOST))
    found = Counter(
        (
            (each.trace_id, each.span_id, each.parent_span_id),
            (each.name, each.kind, each.start, each.end),
            (each.status, len(each.attributes), len(each.links)),
            tuple((event.name, event.time) for event in each.events),
        )
        for each in held
        if each.service == service
    )
    return difference("spans", expected, found)


def log_difference(sent: Sent, service: str, store: RunningStore) -> list[str]:
    """Return how the store's log records of a service differ from those that were sent."""
    expected = Counter(
        (
            each.time_unix_nano or each.observed_time_unix_nano,
            (each.body.string_value, each.severity_number, each.trace_id.hex(), each.span_id.hex()),
        )
        for each in sent.logs
    )
    held = store.ask(lambda client: client.logs(ALL, order="earliest", limit=MOST))
    found = Counter(
        (each.time, (each.body, each.severity, each.trace_id, each.span_id)) for each in held if each.service == service
    )
    return difference("log records", expected, found)


def metric_difference(sent: Sent, service: str, store: RunningStore) -> list[str]:
    """Return how the store's metrics of a service differ from those that were sent."""
    expected = Counter({(each.name, each.unit, each.WhichOneof("data")) for each in sent.metrics})
    held = store.ask(lambda client: client.metrics(ALL, about=None, limit=MOST))
    found = Counter((each.name, each.unit, each.kind) for each in held if service in each.services)
    return difference("metrics", expected, found)


def run(service: str, variables: Mapping[str, str], store: RunningStore) -> list[str]:
    """Run a program that sends to the store; return what is missing or differs."""
    port = free_port()
    with TemporaryDirectory(prefix="tfo-mcp-shop-") as place, recording_proxy(store.http) as (url, requests):
        own = {"SHOP_PORT": str(port), "OTEL_SERVICE_NAME": service, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        environ = ["env", *(f"{name}={value}" for name, value in {**variables, **own, **OUTPUTS}.items())]
        with program([*environ, *SHOPS[service](port)], Path(place)) as running:
            await_answer(running, f"http://{LOOPBACK}:{port}/health")
            use(port)
            wait_until(lambda: Sent(requests).is_whole(service), f"{service} has sent everything")
        sent = Sent(requests)
    figures = f"{len(sent.spans)} spans, {len(sent.logs)} log records, {len(sent.metrics)} metrics sent"
    print(f"{service:<8} {figures}", flush=True)
    compared = (span_difference, log_difference, metric_difference)
    return sent.missing(service) + [said for compare in compared for said in compare(sent, service, store)]


def main() -> int:
    """Run all programs, and return the exit code."""
    problems: list[str] = []
    with postgres_server() as postgres, redis_server() as redis, telemetry_store() as store:
        for service in SHOPS:
            variables = {"SHOP_DATABASE": new_database(postgres), "SHOP_REDIS": redis.url, "PATH": os.environ["PATH"]}
            found = run(service, variables, store)
            problems += found
            print(f"{service:<8} {'; '.join(found) or 'all of it is held'}", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
