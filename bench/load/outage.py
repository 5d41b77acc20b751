"""An outage of the telemetry collector: memory over 200,000 calls whose telemetry cannot be exported."""

from __future__ import annotations

import asyncio

from bench.http_endpoint import Endpoint
from bench.load.figures import Figure
from bench.load.memory import MIB, memory_at_rest
from bench.load.servers import Served
from bench.messages import Era, call
from bench.posts import Posts

CALLS = 200_000
WARM_UP_CALLS = 200_000  # afterwards the queues are full, and the heap of each thread has its final size
GROWTH_PERCENT = 5.0
_AT_ONCE = 16


async def outage(served: Served) -> list[Figure]:
    """Call, and compare the memory with that after the calls of the warm-up."""
    await _call(served.port, WARM_UP_CALLS)
    before = await memory_at_rest(served.process)
    await _call(served.port, CALLS)
    after = await memory_at_rest(served.process)
    return [
        Figure(f"memory after {WARM_UP_CALLS:,} calls", round(before / MIB, 1), "MiB"),
        Figure(f"memory after {CALLS:,} more", round((after / before - 1) * 100, 1), "%", at_most=GROWTH_PERCENT),
    ]


async def _call(port: int, count: int) -> None:
    request = Endpoint(port).request(Era.STATELESS, call(Era.STATELESS, "echo"))

    async def caller() -> None:
        posts = Posts(port)
        try:
            for _ in range(count // _AT_ONCE):
                await posts.post(request, 200)
        finally:
            posts.close()

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
