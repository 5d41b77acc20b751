"""`python -m bench.clickhouse_inserts`: how many records a second the receiver writes into a ClickHouse.

    python -m bench.clickhouse_inserts --seconds 20

Starts a ClickHouse (chDB behind its HTTP front, as in the tests) and `tfo-mcp telemetry serve` with
`telemetry.store_writes`, and sends spans, log records and points of a gauge over OTLP, one after the other. Each sender
sends its next request as soon as the last one is acknowledged. Prints the acknowledged rate, the time until the
acknowledgement, the processor time of each process, and which process was the bottleneck. The exit code is 1 if the
database lacks an acknowledged record.
"""

import argparse
import asyncio
import itertools
import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.telemetry_store import ATTRIBUTES, BODIES, RESOURCE_ATTRIBUTES, SENDERS, SPANS, percentile, request_body
from tests.support.clickhouse import ClickHouseServer, clickhouse_server
from tests.support.telemetry_stores import RunningStore, written_store

DATABASE = "inserts"
BUSY = 0.85  # of a core: a process with more is the bottleneck
_SERIAL = b"serial 00000000"


@dataclass(frozen=True)
class Kind:
    """A signal: its path, the table of its records, and a request of SPANS records."""

    name: str
    path: str
    table: str
    request: Callable[[], bytes]


@dataclass
class Seen:
    """What the senders saw; times in seconds."""

    acknowledged: int = 0
    refused: int = 0
    elapsed: float = 0.0
    waits: list[float] = field(default_factory=list)


def logs_body() -> bytes:
    """Return a request of log records of 12 attributes, of a resource of 6."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    _describe(resource_logs.resource.attributes)
    records = resource_logs.scope_logs.add().log_records
    now = time.time_ns()
    for number in range(SPANS):
        record = records.add(time_unix_nano=now + number, severity_number=9, trace_id=secrets.token_bytes(16))
        record.body.string_value = f"order {random.randrange(10**6)} of customer {random.randrange(1000)} is stored"
        _attribute(record.attributes)
    return bytes(request.SerializeToString())


def metrics_body() -> bytes:
    """Return a request of points of gauges with 12 attributes, of a resource of 6."""
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    _describe(resource_metrics.resource.attributes)
    metrics = resource_metrics.scope_metrics.add().metrics
    now = time.time_ns()
    for number in range(SPANS):
        if number % 50 == 0:
            metric = metrics.add(name=f"queue.length.{number // 50}", unit="1")
        point = metric.gauge.data_points.add(time_unix_nano=now + number, as_double=random.random())
        _attribute(point.attributes)
    return bytes(request.SerializeToString())


def spans_body() -> bytes:
    """Return a request of spans, with the mark that makes it different from all others."""
    request = ExportTraceServiceRequest.FromString(request_body())
    request.resource_spans[0].resource.attributes[-1].value.string_value = _SERIAL.decode()
    return bytes(request.SerializeToString())


def _describe(attributes: Any) -> None:
    for number in range(RESOURCE_ATTRIBUTES - 1):
        name = f"resource.{number}" if number else "service.name"
        attributes.add(key=name).value.string_value = f"service {random.randrange(8)}"
    attributes.add(key="serial").value.string_value = _SERIAL.decode()


def _attribute(attributes: Any) -> None:
    for number in range(ATTRIBUTES):
        attributes.add(key=f"attribute.{number}").value.string_value = f"value {random.randrange(1000)}"


KINDS = (
    Kind("spans", "/v1/traces", "otel_traces", spans_body),
    Kind("log records", "/v1/logs", "otel_logs", logs_body),
    Kind("metric points", "/v1/metrics", "otel_metrics_gauge", metrics_body),
)


def main() -> int:
    """Measure each signal, and print the figures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each signal")
    parser.add_argument("--senders", type=int, default=4 * SENDERS, help="requests at once")
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        clickhouse_server(Path(directory)) as server,
    ):
        server.execute(f"CREATE DATABASE {DATABASE}")
        with written_store(server, DATABASE) as store:
            complete = [_measure(server, store, kind, wanted.seconds, wanted.senders) for kind in KINDS]
    return 0 if all(complete) else 1


def _measure(server: ClickHouseServer, store: RunningStore, kind: Kind, seconds: float, senders: int) -> bool:
    """Print the figures of a signal; return whether all acknowledged records are in the database."""
    processes = {"tfo-mcp": store.process.pid, "ClickHouse": server.child.pid, "senders": os.getpid()}
    bodies = [kind.request() for _ in range(BODIES)]
    before = _used(processes)
    seen = asyncio.run(_send(store.http + kind.path, bodies, seconds, senders))
    used = {name: after - before[name] for name, after in _used(processes).items()}
    stored = int(server.execute(f"SELECT count() FROM {DATABASE}.{kind.table}"))
    print(f"{kind.name}: {seen.acknowledged / seen.elapsed:,.0f}/s acknowledged, {seen.refused:,} refused, ", end="")
    print(f"{stored:,} of {seen.acknowledged:,} stored")
    print(f"  until acknowledged: p50 {percentile(seen.waits, 0.5):.0f} ms, p99 {percentile(seen.waits, 0.99):.0f} ms")
    for name, spent in used.items():
        rate = seen.acknowledged / max(spent, 0.01)
        print(f"  {name}: {spent:.1f} CPU seconds, {spent / seen.elapsed:.2f} cores, {rate:,.0f} a CPU second")
    print(f"  bottleneck: {_bottleneck({name: spent / seen.elapsed for name, spent in used.items()})}")
    return stored >= seen.acknowledged


def _used(processes: Mapping[str, int]) -> dict[str, float]:
    times = {name: psutil.Process(pid).cpu_times() for name, pid in processes.items()}
    return {name: each.user + each.system for name, each in times.items()}


def _bottleneck(cores: Mapping[str, float]) -> str:
    """Return the name of the busiest process, unless none of them was busy."""
    name = max(cores, key=lambda each: cores[each])
    if cores[name] >= BUSY:
        return name
    usable = len(os.sched_getaffinity(0))
    whole = sum(cores.values())
    return (
        f"no process alone: {whole:.2f} of {usable} cores in all. The receiver's thread decodes a batch and waits for "
        "its insert, one after the other"
    )


async def _send(url: str, bodies: list[bytes], seconds: float, senders: int) -> Seen:
    """Send requests for `seconds`, none of which is the same as another one."""
    seen, numbers = Seen(), itertools.count()
    headers = {"content-type": "application/x-protobuf"}
    async with httpx.AsyncClient(headers=headers, timeout=60, verify=False, trust_env=False) as client:
        begin = time.monotonic()

        async def sender() -> None:
            while time.monotonic() < begin + seconds:
                body = random.choice(bodies).replace(_SERIAL, b"serial %08d" % next(numbers))
                started = time.monotonic()
                answer = await client.post(url, content=body)
                seen.waits.append(time.monotonic() - started)
                if answer.status_code == httpx.codes.OK:
                    seen.acknowledged += SPANS
                else:
                    seen.refused += SPANS

        await asyncio.gather(*(sender() for _ in range(senders)))
        seen.elapsed = time.monotonic() - begin
    return seen


if __name__ == "__main__":
    raise SystemExit(main())
