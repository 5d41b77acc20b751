"""Idle connections: the memory of each one, and a check that all are alive at the end.

Memory is compared with that of the same server after a few other connections, so that what the server loads and caches
once does not count.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.jsonrpc_client import JsonRpcClient
from bench.load.memory import memory_at_rest, resident_bytes

WARM_UP_CLIENTS = 20
AT_ONCE = 25

NewClient = Callable[[], JsonRpcClient]


@dataclass(frozen=True, slots=True)
class Held:
    """The results: bytes of memory per connection, the number of answered pings, the slowest ping in seconds."""

    at_first: float
    at_last: float
    answered: int
    slowest_ping: float


async def hold(process: subprocess.Popen[bytes], new: NewClient, number: int, seconds: float) -> Held:
    """Open `number` sessions, hold them for `seconds`, and ping each at the end.

    Raises:
        BenchError: a connection was refused or lost, or did not answer.
    """
    for client in await open_clients(new, WARM_UP_CLIENTS):
        await ping(client)
        client.abort()
    before = await memory_at_rest(process)
    clients = await open_clients(new, number)
    try:
        first = await memory_at_rest(process)
        await asyncio.sleep(seconds)
        last = resident_bytes(process)
        pings = await in_turns(ping, clients)
        return Held((first - before) / number, (last - before) / number, len(pings), max(pings))
    finally:
        for client in clients:
            client.abort()


async def open_clients(new: NewClient, number: int) -> list[JsonRpcClient]:
    """Connect `number` clients and open their sessions."""
    clients = [new() for _ in range(number)]
    await in_turns(open_client, clients)
    return clients


async def open_client(client: JsonRpcClient) -> float:
    """Connect a client and open its session; return the seconds that this takes."""
    begin = time.monotonic()
    await client.connect()
    await client.initialize()
    return time.monotonic() - begin


async def ping(client: JsonRpcClient) -> float:
    """Ping the server; return the seconds until the response."""
    begin = time.monotonic()
    answer = await client.request({"jsonrpc": "2.0", "id": 2, "method": "ping"})
    if "result" not in answer:
        raise BenchError(f"a ping got {answer}")
    return time.monotonic() - begin


async def in_turns(
    do: Callable[[JsonRpcClient], asyncio._CoroutineLike[float]], clients: Sequence[JsonRpcClient]
) -> list[float]:
    """Call `do` for each client, AT_ONCE of them at a time; return its figures."""
    figures: list[float] = []
    for start in range(0, len(clients), AT_ONCE):
        figures += await asyncio.gather(*(do(client) for client in clients[start : start + AT_ONCE]))
    return figures
