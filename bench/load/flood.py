"""A client that does not read its notifications: the cost for the server, and the effect on another client.

The same server first serves a client that reads, one call after the other. The memory after that is the baseline for
the memory during and after the flood.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bench.errors import BenchError
from bench.jsonrpc_client import JsonRpcClient
from bench.load.figures import Figure, growth, memory
from bench.load.idle import open_client, ping
from bench.load.memory import MIB, descriptors, forget_peak, memory_at_rest, peak_bytes
from bench.load.servers import Served
from bench.messages import Era, Message, encode, request

GROWTH_PERCENT = 10.0
PING_SECONDS = 1.0
LOST_SECONDS = (9.0, 15.0)
LIMIT_SECONDS = 30.0
PING_EVERY_SECONDS = 0.05
LOOK_SECONDS = 0.02
QUIET_SECONDS = 1.0
CALL_SECONDS = 60.0

NewClient = Callable[[], JsonRpcClient]


class Source(Protocol):
    """A source of notifications."""

    @property
    def total(self) -> int:
        """The number of notifications."""

    @property
    def size(self) -> int:
        """The size of the text in one notification, in bytes."""

    async def warm_up(self, reader: JsonRpcClient, conductor: JsonRpcClient) -> None:
        """Make the server send all notifications to a client that reads and counts them."""

    async def prepare(self, audience: JsonRpcClient, conductor: JsonRpcClient) -> None:
        """Prepare the notifications, all but the last step."""

    async def release(self, conductor: JsonRpcClient) -> None:
        """Make the server send the notifications."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Progress notifications of many concurrent calls: `each` per call, `burst` per second and call."""

    calls: int
    each: int
    size: int
    era: Era = Era.HANDSHAKE
    burst: int = 200

    @property
    def total(self) -> int:
        """The number of notifications."""
        return self.calls * self.each

    async def warm_up(self, reader: JsonRpcClient, conductor: JsonRpcClient) -> None:
        """Call one after the other."""
        calls = self.total // self.burst
        for number in range(calls):
            await reader.send(encode(self._call(number, self.burst, gated=False)))
            await received(reader, (number + 1) * (self.burst + 1), CALL_SECONDS)
        reader.received -= calls  # without their responses

    async def prepare(self, audience: JsonRpcClient, conductor: JsonRpcClient) -> None:
        """Start the calls, and wait until all of them wait at the gate."""
        for number in range(self.calls):
            await audience.send(encode(self._call(number, self.each, gated=True)))
        deadline = time.monotonic() + CALL_SECONDS
        while await text_of(conductor, "waiting", {}) != str(self.calls):
            if time.monotonic() > deadline:
                raise BenchError("not all calls were accepted")
            await asyncio.sleep(LOOK_SECONDS)

    async def release(self, conductor: JsonRpcClient) -> None:
        """Open the gate."""
        await text_of(conductor, "open_gate", {})

    def _call(self, number: int, notifications: int, *, gated: bool) -> Message:
        arguments = {"notifications": notifications, "size": self.size, "gated": gated}
        params = {"name": "flood", "arguments": arguments}
        return {**request(self.era, "tools/call", params, {"progressToken": number}), "id": 100 + number}


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates of subscribed resources: `rounds` updates of each of them."""

    uris: int
    rounds: int
    size: int

    @property
    def total(self) -> int:
        """The number of notifications."""
        return self.uris * self.rounds

    async def warm_up(self, reader: JsonRpcClient, conductor: JsonRpcClient) -> None:
        """Subscribe and announce."""
        await self.prepare(reader, conductor)
        reader.received = 0
        await self.release(conductor)
        with suppress(BenchError):  # updates that arrive faster than they are read are merged
            await received(reader, self.total, QUIET_SECONDS)

    async def prepare(self, audience: JsonRpcClient, conductor: JsonRpcClient) -> None:
        """Subscribe to every resource."""
        for number, uri in enumerate(self._names()):
            subscribe = {"jsonrpc": "2.0", "id": 100 + number, "method": "resources/subscribe", "params": {"uri": uri}}
            if "result" not in (answer := await audience.request(subscribe)):
                raise BenchError(f"a subscription got {str(answer)[:300]}")

    async def release(self, conductor: JsonRpcClient) -> None:
        """Announce."""
        await text_of(conductor, "announce", {"uris": self._names(), "rounds": self.rounds})

    def _names(self) -> list[str]:
        return [f"flood://{number:0{self.size}d}" for number in range(self.uris)]


class Neighbour:
    """A client that pings repeatedly while another is flooded."""

    def __init__(self, client: JsonRpcClient) -> None:
        self._client = client
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.slowest = 0.0
        self.pings = 0
        self.overslept = 0.0
        """The longest delay of this process's own timers in seconds: the machine was busy, not the server."""

    async def begin(self) -> None:
        """Ping once, and then repeatedly in a task."""
        await ping(self._client)
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Stop pinging and wait for the last response.

        Raises:
            BenchError: a ping was not answered.
        """
        self._stopping = True
        if self._task is not None:
            await self._task

    def abort(self) -> None:
        """Stop at once and drop the connection, in any state."""
        if self._task is not None:
            self._task.cancel()
        self._client.abort()

    async def _run(self) -> None:
        while not self._stopping:
            self.slowest = max(self.slowest, await ping(self._client))
            self.pings += 1
            begin = time.monotonic()
            await asyncio.sleep(PING_EVERY_SECONDS)
            self.overslept = max(self.overslept, time.monotonic() - begin - PING_EVERY_SECONDS)


async def flood(served: Served, source: Source, new_audience: NewClient) -> list[Figure]:
    """Flood a client from `new_audience`, which does not read, and return the figures.

    Raises:
        BenchError: the server did not serve the other clients correctly.
    """
    neighbour = Neighbour(await opened(served.client))
    try:
        started = await memory_at_rest(served.process)
        reader, conductor = await opened(new_audience), await opened(served.client)
        await source.warm_up(reader, conductor)
        read = reader.received
        await reader.leave()
        conductor.abort()
        before = await memory_at_rest(served.process)
        await neighbour.begin()
        lost = await _flood(served, source, new_audience)
        await neighbour.end()
        after = await memory_at_rest(served.process)
        peak = peak_bytes(served.process)
    finally:
        neighbour.abort()
    return [
        Figure("to be sent", round(source.total * source.size / MIB), "MiB"),
        Figure("notifications read by the client that reads", read, ""),
        memory("memory when started", started),
        growth("memory after the client that reads", started, before, GROWTH_PERCENT),
        memory("memory before the flood", before),
        growth("memory at its highest", before, peak, GROWTH_PERCENT),
        growth("memory afterwards", before, after, GROWTH_PERCENT),
        Figure("slowest ping of the neighbour", round(neighbour.slowest, 3), "s", at_most=PING_SECONDS),
        Figure("pings of the neighbour", neighbour.pings, ""),
        Figure("longest delay of the neighbour's own", round(neighbour.overslept, 3), "s"),
        Figure("connections ended after", round(lost, 1), "s", at_most=LOST_SECONDS[1], at_least=LOST_SECONDS[0]),
    ]


async def _flood(served: Served, source: Source, new_audience: NewClient) -> float:
    """Run the flood; return the seconds until the server has closed the connections."""
    others = descriptors(served.process)
    audience, conductor = await opened(new_audience), await opened(served.client)
    try:
        await source.prepare(audience, conductor)
        audience.stop_reading()
        forget_peak(served.process)
        begin = time.monotonic()
        await source.release(conductor)
        conductor.abort()
        with suppress(BenchError):
            await until(lambda: descriptors(served.process) <= others, "the end", LIMIT_SECONDS)
        lost = time.monotonic() - begin
        await asyncio.sleep(QUIET_SECONDS)
        return lost
    finally:
        audience.abort()
        conductor.abort()


async def opened(new: NewClient) -> JsonRpcClient:
    """A client with a session."""
    client = new()
    await open_client(client)
    return client


async def text_of(client: JsonRpcClient, tool: str, arguments: Message) -> str:
    """Call a tool and return the text of its result."""
    message = request(Era.HANDSHAKE, "tools/call", {"name": tool, "arguments": arguments}, {})
    answer = await client.request(message)
    try:
        return str(answer["result"]["content"][0]["text"])
    except (KeyError, IndexError):
        raise BenchError(f"{tool} got {str(answer)[:300]}") from None


async def received(reader: JsonRpcClient, number: int, seconds: float) -> None:
    """Wait until a client has received `number` messages.

    Raises:
        BenchError: they did not arrive in time.
    """
    await until(lambda: reader.received >= number, f"{number} messages", seconds)


async def until(reached: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for a condition.

    Raises:
        BenchError: it is still false after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise BenchError(f"waited {seconds:g} s in vain for {what}")
        await asyncio.sleep(LOOK_SECONDS)
