"""`python -m bench.telemetry_store`: send spans to the telemetry store at a fixed rate, and query it meanwhile.

    python -m bench.telemetry_store --rate 20000 --seconds 60

The store is pinned to one core; this generator, and a server that answers calls meanwhile, to another one. Prints the
acknowledged rate, the time until the acknowledgement, the processor time of the store, the bytes of a span on disk,
the time of a query, and the calls of the server. The calls are compared with those made while the same requests are
sent to a path that stores nothing. The exit code is 1 if less than 95 % of the rate was acknowledged, or the calls
became fewer than 95 % or their p99 more than 5 ms longer.
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
import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.contenders import Command, Transport
from bench.cores import Cores, choose_cores
from bench.generator import Load
from bench.http_endpoint import Endpoint
from bench.http_load import HttpClient
from bench.load.servers import serving
from bench.messages import Era, call
from bench.rows import check_echo
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
CALLERS = 8
NOWHERE = "/v1/unknown"
BASELINE_SECONDS = 15.0
MOST_ADDED_MS = 5.0


@dataclass
class Measurement:
    """What the senders, the questioner and the callers saw; times in seconds."""

    acknowledged: int = 0
    refused: int = 0
    elapsed: float = 0.0
    waits: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    calls_per_second: float = 0.0


class TimedClient(HttpClient):
    """A client that records the time of each of its calls."""

    def __init__(self, port: int, requests: list[bytes], times: list[float]) -> None:
        super().__init__(port, requests)
        self._times = times
        self._sent: float | None = None

    def send_next(self) -> None:
        """Send the next call, once the last one has been answered."""
        now = time.perf_counter()
        if self._sent is not None:
            self._times.append(now - self._sent)
        self._sent = now
        super().send_next()


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


async def send(
    client: httpx.AsyncClient, path: str, bodies: list[bytes], rate: float, until: float, seen: Measurement
) -> None:
    """Send requests, each at its time, until the end; a refused one is not repeated."""
    interval, due = SPANS * SENDERS / rate, time.monotonic() + random.random() * SPANS * SENDERS / rate
    while due < until and time.monotonic() < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        started = time.monotonic()
        answer = await client.post(path, content=random.choice(bodies))
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


async def make_calls(port: int, seconds: float, seen: Measurement) -> None:
    """Call the server, each of the callers again as soon as it has its answer."""
    [plan] = Endpoint(port).plans(Era.STATELESS, call(Era.STATELESS, "echo"), 1)
    clients = [TimedClient(port, plan, seen.calls) for _ in range(CALLERS)]
    seen.calls_per_second = (await Load(check_echo, seconds).run(clients)).figure


async def load(url: str, path: str, store: StoreClient, server: int, rate: float, seconds: float) -> Measurement:
    """Send, query and call for `seconds`."""
    bodies, seen = [request_body() for _ in range(BODIES)], Measurement()
    headers = {"content-type": "application/x-protobuf"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, verify=False) as client:
        begin = time.monotonic()
        until = begin + seconds
        senders = [send(client, path, bodies, rate, until, seen) for _ in range(SENDERS)]
        await asyncio.gather(question(store, until, seen), make_calls(server, seconds, seen), *senders)
        seen.elapsed = time.monotonic() - begin
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
    beside = Cores(server=cores.generator, generator=cores.generator)
    with running(command, cores) as process, serving(beside, Transport.HTTP) as server:
        wait_until_it_listens(process, port)
        wait_until_it_listens(process, places.socket)
        store, measured = StoreClient(places, lambda: None), psutil.Process(process.pid)

        def loaded(path: str, duration: float) -> Measurement:
            return uvloop.run(load(f"http://127.0.0.1:{port}", path, store, server.port, rate, duration))

        without = loaded(NOWHERE, BASELINE_SECONDS)
        before = measured.cpu_times()
        seen = loaded("/v1/traces", seconds)
        after = measured.cpu_times()
        memory = measured.memory_info().rss
    used = after.user + after.system - before.user - before.system
    size = sum(path.stat().st_size for path in places.directory.glob("store.duckdb*"))
    _report_store(seen, rate, used, memory, size)
    return 0 if _report_calls(seen, without) and seen.acknowledged >= REACHED * rate * seen.elapsed else 1


def _report_store(seen: Measurement, rate: float, used: float, memory: int, size: int) -> None:
    print(f"acknowledged {seen.acknowledged / seen.elapsed:,.0f} spans/s of {rate:,.0f}, refused {seen.refused:,}")
    print(f"until acknowledged: p50 {percentile(seen.waits, 0.5):.0f} ms, p99 {percentile(seen.waits, 0.99):.0f} ms")
    print(f"store: {used / seen.elapsed:.2f} cores, {seen.acknowledged / max(used, 0.01):,.0f} spans per CPU second")
    print(f"store: {memory / 2**20:.0f} MiB of memory, {size / max(seen.acknowledged, 1):.0f} bytes a span on disk")
    fast, slow = percentile(seen.queries, 0.5), percentile(seen.queries, 0.95)
    print(f"20 slowest traces of the last minute: p50 {fast:.0f} ms, p95 {slow:.0f} ms")


def _report_calls(seen: Measurement, without: Measurement) -> bool:
    """Print the calls beside the store, and return whether they reached their targets."""
    slowest, usual = percentile(seen.calls, 0.99), percentile(without.calls, 0.99)
    ratio = seen.calls_per_second / without.calls_per_second
    print(f"calls of a server beside it: {seen.calls_per_second:,.0f}/s, {ratio:.2f} of those without spans to store")
    print(f"their p99: {slowest:.1f} ms, without spans to store {usual:.1f} ms")
    return ratio >= REACHED and slowest <= usual + MOST_ADDED_MS


if __name__ == "__main__":
    main()
