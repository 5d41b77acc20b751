"""Slow clients with unfinished heads and bodies or silent connections, and their effect on other clients.

The slow clients stay connected while others call; the 99th percentile of these calls is compared with that without slow
clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.http_endpoint import Endpoint
from bench.load.figures import Figure
from bench.load.servers import Served
from bench.messages import Era, call
from bench.posts import Posts

CONNECTIONS = 500
CALLERS = 8
SECONDS = 4.0  # below the server's deadline for a head
GROWTH_PERCENT = 50.0
_ROUNDS = 5
_HEAD = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
_STARTS = (b"", _HEAD[:40], _HEAD + b"Content-Length: 1000\r\n\r\n{")


async def slow(served: Served) -> list[Figure]:
    """Measure without and with slow clients in turn, and compare the medians of the rounds."""
    endpoint = Endpoint(served.port)
    request = endpoint.request(Era.STATELESS, call(Era.STATELESS, "echo"))
    await _latencies(served.port, request, SECONDS)
    alone, among = [], []
    for _ in range(_ROUNDS):
        alone.append(_percentile(await _latencies(served.port, request, SECONDS)))
        async with _slow_clients(served.port):
            among.append(_percentile(await _latencies(served.port, request, SECONDS)))
    before, after = sorted(alone)[_ROUNDS // 2], sorted(among)[_ROUNDS // 2]
    growth = round((after / before - 1) * 100, 1)
    return [
        Figure("99th percentile of the others' calls alone", round(before * 1_000, 2), "ms"),
        Figure("the same among the slow ones", round(after * 1_000, 2), "ms"),
        Figure("by which it grew", growth, "%", at_most=GROWTH_PERCENT),
    ]


@asynccontextmanager
async def _slow_clients(port: int) -> AsyncIterator[None]:
    writers = []
    for number in range(CONNECTIONS):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_STARTS[number % len(_STARTS)])
        writers.append(writer)
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


async def _latencies(port: int, request: bytes, seconds: float) -> list[float]:
    end = time.monotonic() + seconds
    found: list[float] = []

    async def caller() -> None:
        posts = Posts(port)
        try:
            while time.monotonic() < end:
                began = time.perf_counter()
                await posts.post(request, 200)
                found.append(time.perf_counter() - began)
        finally:
            posts.close()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return found


def _percentile(latencies: list[float]) -> float:
    return sorted(latencies)[len(latencies) * 99 // 100]
