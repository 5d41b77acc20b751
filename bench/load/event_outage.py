"""An outage of NATS: calls at a fixed rate while their events cannot be relayed, and what arrives afterwards."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack

import nats
from nats.errors import Error as NatsError

from bench.errors import BenchError
from bench.http_endpoint import Endpoint
from bench.load.figures import Figure, growth
from bench.load.memory import memory_at_rest
from bench.load.servers import Served
from bench.messages import Era, call
from bench.posts import Posts
from tests.support.nats_server import NatsServer

RATE = 1_000  # calls a second
SECONDS = 60
WARM_UP_SECONDS = 5
LEAST_RATE = 0.95
MOST_GROWTH_PERCENT = 10.0
_CALLERS = 16
_STREAM = "TFO_MCP_EVENTS"
_EVENTS = "tfo.mcp.events.tool.ToolExecuted"
_DRAIN_SECONDS = 120.0
_LOOK_SECONDS = 0.1


async def outage(served: Served, broker: NatsServer, stack: ExitStack) -> list[Figure]:
    """Call at the rate with NATS and without it; start it again in `stack`, and wait for the events of all calls."""
    made = (await _call(served.port, WARM_UP_SECONDS))[0]
    usual, usual_p99 = await _call(served.port, SECONDS)
    before = await memory_at_rest(served.process)
    broker.kill()
    without, without_p99 = await _call(served.port, SECONDS)
    after = await memory_at_rest(served.process)
    stack.enter_context(broker.running())
    began = time.monotonic()
    made += usual + without
    stored = await _stored(broker.url, made)
    return [
        Figure("calls a second with NATS", round(usual / SECONDS), "calls/s"),
        Figure("the same without NATS", round(without / usual, 3), "of that", at_least=LEAST_RATE),
        Figure("99th percentile with NATS", round(usual_p99 * 1000, 1), "ms"),
        Figure("the same without NATS", round(without_p99 * 1000, 1), "ms"),
        growth(f"memory after {SECONDS} s without NATS", before, after, MOST_GROWTH_PERCENT),
        Figure("time until all events were in the stream", round(time.monotonic() - began, 1), "s"),
        Figure("events that are missing or double", abs(made - stored), "", at_most=0),
    ]


async def _call(port: int, seconds: float) -> tuple[int, float]:
    """Call at the rate for a time; return the number of calls, and the 99th percentile of their durations."""
    request = Endpoint(port).request(Era.STATELESS, call(Era.STATELESS, "echo"))
    began, durations = time.perf_counter(), list[float]()
    slots = iter(range(int(seconds * RATE)))

    async def caller() -> None:
        posts = Posts(port)
        try:
            for slot in slots:
                now = time.perf_counter()
                if now - began >= seconds:
                    return
                await asyncio.sleep(max(0.0, began + slot / RATE - now))
                sent = time.perf_counter()
                await posts.post(request, 200)
                durations.append(time.perf_counter() - sent)
        finally:
            posts.close()

    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return len(durations), sorted(durations)[int(len(durations) * 0.99)]


async def _stored(url: str, expected: int) -> int:
    """Wait until the stream has as many events of calls as expected, and return their number."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    found = 0
    while time.monotonic() < deadline:
        try:
            client = await nats.connect(url)
            try:
                info = await client.jetstream().stream_info(_STREAM, subjects_filter=_EVENTS)
            finally:
                await client.close()
        except (NatsError, OSError) as problem:
            raise BenchError(f"NATS cannot be asked: {problem}") from problem
        found = sum((info.state.subjects or {}).values())
        if found >= expected:
            return found
        await asyncio.sleep(_LOOK_SECONDS)
    return found
