"""`python -m bench.telemetry_store`: send spans to the telemetry store at a fixed rate, and query it meanwhile.

    python -m bench.telemetry_store --rate 20000 --seconds 60

The store is pinned to one core, this generator to another one. Prints the acknowledged rate, the time until the
acknowledgement, the processor time of the store, the bytes of a span on disk, and the time of a query. The exit code
is 1 if less than 95 % of the rate was acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.contenders import Command
from bench.cores import choose_cores
from bench.server_process import free_port, running, wait_until_it_listens
from tfo_mcp.application.ports.telemetry_query import Selection, Window
from tfo_mcp.infrastructure.telemetry_store.client import StoreClient
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces

SPANS = 500  # of one request
ATTRIBUTES = 12
RESOURCE_ATTRIBUTES = 6
BODIES = 64
SENDERS = 8
QUERY_SECONDS = 0.5
REACHED = 0.95


@dataclass
class Measurement:
    """What the senders and the questioner saw; times in seconds."""

    acknowledged: int = 0
    refused: int = 0
    waits: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)


def request_body() -> bytes:
    """Return a request of spans of 12 attributes, of a resource of 6."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for number in range(RESOURCE_ATTRIBUTES):
        name = f"resource.{number}" if number else "service.name"
        resource_spans.resource.attributes.add(key=name).value.string_value = f"service {random.randrange(8)}"
    now = time.time_ns()
    spans = resource_spans.scope_spans.add().spans
    traces = [secrets.token_bytes(16) for _ in range(SPANS // 10)]
    for number in range(SPANS):
        trace_id = traces[number // 10]
        span = spans.add(trace_id=trace_id, span_id=secrets.token_bytes(8), kind=2, name=f"GET /{number % 50}")
        span.start_time_unix_nano = now + number
        span.end_time_unix_nano = now + number + random.randrange(10**9)
        for index in range(ATTRIBUTES):
            span.attributes.add(key=f"attribute.{index}").value.string_value = f"value {random.randrange(1000)}"
    return bytes(request.SerializeToString())


async def send(client: httpx.AsyncClient, bodies: list[bytes], rate: float, until: float, seen: Measurement) -> None:
    """Send requests, each at its time, until the end; a refused one is not repeated."""
    interval, due = SPANS * SENDERS / rate, time.monotonic() + random.random() * SPANS * SENDERS / rate
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        started = time.monotonic()
        answer = await client.post("/v1/traces", content=random.choice(bodies))
        seen.waits.append(time.monotonic() - started)
        if answer.status_code == httpx.codes.OK:
            seen.acknowledged += SPANS
        else:
            seen.refused += SPANS
        due += interval


async def question(store: StoreClient, until: float, seen: Measurement) -> None:
    """Ask for the slowest traces of the last minute, again and again."""
    while time.monotonic() < until:
        started, now = time.monotonic(), time.time_ns()
        await store.traces(Selection(Window(now - 60 * 10**9, now)), order="slowest", limit=20)
        seen.queries.append(time.monotonic() - started)
        await asyncio.sleep(QUERY_SECONDS)


async def load(url: str, store: StoreClient, rate: float, seconds: float) -> Measurement:
    """Send and query for `seconds`."""
    bodies, seen = [request_body() for _ in range(BODIES)], Measurement()
    headers = {"content-type": "application/x-protobuf"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, verify=False) as client:
        until = time.monotonic() + seconds
        senders = [send(client, bodies, rate, until, seen) for _ in range(SENDERS)]
        await asyncio.gather(question(store, until, seen), *senders)
    return seen


def percentile(values: list[float], share: float) -> float:
    """Return a percentile in milliseconds, nan without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("nan")


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=20_000, help="spans a second")
    parser.add_argument("--seconds", type=float, default=60)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        raise SystemExit(_measure(Path(home), wanted.rate, wanted.seconds))


def _measure(home: Path, rate: float, seconds: float) -> int:
    port, places, cores = free_port(), StorePlaces(home / "tfo-mcp" / "telemetry"), choose_cores()
    settings = home / "tfo-mcp.yaml"
    settings.write_text(f"telemetry: {{otlp_http_port: {port}, otlp_grpc_port: 0}}", encoding="utf-8")
    line = (sys.executable, "-m", "tfo_mcp", "telemetry", "serve", "--config", str(settings))
    command = Command(line, stdio=False, environment={"XDG_STATE_HOME": str(home)})
    with running(command, cores) as process:
        wait_until_it_listens(process, port)
        wait_until_it_listens(process, places.socket)
        store, measured = StoreClient(places, lambda: None), psutil.Process(process.pid)
        before = measured.cpu_times()
        seen = asyncio.run(load(f"http://127.0.0.1:{port}", store, rate, seconds))
        after = measured.cpu_times()
        memory = measured.memory_info().rss
    used = after.user + after.system - before.user - before.system
    size = sum(path.stat().st_size for path in places.directory.glob("store.duckdb*"))
    print(f"acknowledged {seen.acknowledged / seconds:,.0f} spans/s of {rate:,.0f}, refused {seen.refused:,}")
    print(f"until acknowledged: p50 {percentile(seen.waits, 0.5):.0f} ms, p99 {percentile(seen.waits, 0.99):.0f} ms")
    print(f"store: {used / seconds:.2f} cores, {seen.acknowledged / max(used, 0.01):,.0f} spans per CPU second")
    print(f"store: {memory / 2**20:.0f} MiB of memory, {size / max(seen.acknowledged, 1):.0f} bytes a span on disk")
    fast, slow = percentile(seen.queries, 0.5), percentile(seen.queries, 0.95)
    print(f"20 slowest traces of the last minute: p50 {fast:.0f} ms, p95 {slow:.0f} ms")
    return 0 if seen.acknowledged >= REACHED * rate * seconds else 1


if __name__ == "__main__":
    main()
