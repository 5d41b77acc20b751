"""Sessions that are opened and dropped repeatedly, to find leaks.

The first 1,000 sessions make the server load and cache what it needs; memory that 10,000 more add is a leak.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable

from bench.errors import BenchError
from bench.http_endpoint import Endpoint
from bench.load.figures import Figure, growth, memory
from bench.load.idle import open_client
from bench.load.memory import descriptors, memory_at_rest
from bench.load.servers import Served
from bench.posts import Posts
from bench.sse_client import SseClient
from bench.websocket_client import WebSocketClient

WARM_UP_SESSIONS = 1_000
SESSIONS = 10_000
AT_ONCE = 16
GROWTH_PERCENT = 10.0
GONE_SECONDS = 60.0
LOOK_SECONDS = 0.25
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no seconds

Drop = Callable[[Served, int], Awaitable[None]]
"""Opens and drops a number of sessions."""


async def churn(served: Served, drop: Drop) -> list[Figure]:
    """Open and drop sessions, and measure the memory after their end.

    Raises:
        BenchError: a session was refused.
    """
    await drop(served, WARM_UP_SESSIONS)
    await gone(served)
    before, open_before = await memory_at_rest(served.process), descriptors(served.process)
    begin = time.monotonic()
    await drop(served, SESSIONS)
    rate = SESSIONS / (time.monotonic() - begin)
    left = await gone(served)
    after = await memory_at_rest(served.process)
    return [
        Figure("opened and dropped", SESSIONS, "sessions"),
        Figure("rate", round(rate), "sessions/s"),
        memory("memory before", before),
        growth("memory afterwards", before, after, GROWTH_PERCENT),
        Figure("sessions left", left, "", at_most=0),
        Figure("descriptors left", descriptors(served.process) - open_before, "", at_most=0),
    ]


async def drop_websockets(served: Served, number: int) -> None:
    """Reset each connection as soon as its session is open."""

    async def drop(_worker: int) -> None:
        client = WebSocketClient(served.port)
        await open_client(client)
        reset(client.transport)

    await in_parallel(drop, number)


async def drop_event_streams(served: Served, number: int) -> None:
    """Reset each stream as soon as its session is open; each worker posts on one connection."""
    posts = [Posts(served.port) for _ in range(AT_ONCE)]

    async def drop(worker: int) -> None:
        client = SseClient(served.port, posts[worker])
        await open_client(client)
        reset(client.transport)

    try:
        await in_parallel(drop, number)
    finally:
        for connection in posts:
            connection.close()


async def delete_sessions(served: Served, number: int) -> None:
    """Open sessions of Streamable HTTP and end each by DELETE."""
    await blocking(Endpoint(served.port).open_and_delete, number)


async def abandon_sessions(served: Served, number: int) -> None:
    """Open sessions of Streamable HTTP and never use them again."""
    await blocking(Endpoint(served.port).sessions, number)


async def blocking(do: Callable[[int], object], number: int) -> None:
    """Run a blocking function in a thread.

    Raises:
        BenchError: the connection failed.
    """
    try:
        await asyncio.to_thread(do, number)
    except (http.client.HTTPException, OSError) as error:
        raise BenchError(f"the connection failed: {error!r}") from None


async def in_parallel(do: Callable[[int], Awaitable[None]], number: int) -> None:
    """Call `do` `number` times from AT_ONCE concurrent workers, with the number of the worker."""
    todo = iter(range(number))

    async def work(worker: int) -> None:
        for _ in todo:
            await do(worker)

    await asyncio.gather(*(work(worker) for worker in range(AT_ONCE)))


def reset(transport: asyncio.Transport) -> None:
    """Reset a TCP connection."""
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


async def gone(served: Served) -> int:
    """Wait until the server has no session, for at most GONE_SECONDS; return the number of remaining sessions."""
    left = 0
    for _ in range(round(GONE_SECONDS / LOOK_SECONDS)):
        left = await asyncio.to_thread(sessions_of, served.port)
        if not left:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return left


def sessions_of(port: int) -> int:
    """The number of sessions that the server reports."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GONE_SECONDS)
    try:
        connection.request("GET", "/healthz")
        number: int = json.loads(connection.getresponse().read())["sessions"]
        return number
    except (http.client.HTTPException, OSError, ValueError, KeyError) as error:
        raise BenchError(f"no health: {error!r}") from None
    finally:
        connection.close()
