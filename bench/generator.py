"""The load generator: closed-loop clients, which send the next call after the response to the last, and their count.

It is lean, so that the server on one core is the bottleneck and not this process. Calls are joined from prepared
pieces. A response is compared with the first one of its client, which was checked completely; it is parsed only if it
differs in more than its number. `Sample.generator_share` is the load of this process. `*_load.py` has the transports.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import uvloop

from bench.errors import BenchError
from bench.messages import TOKEN

DRAIN_SECONDS = 20.0
TOKEN_BYTES = str(TOKEN).encode()

Check = Callable[[bytes, int], None]
"""Checks the body of the response to a numbered request; raises BenchError."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: the figure in the unit of its row, and the share of its core that the generator used."""

    figure: float
    generator_share: float = 0.0


class Client(Protocol):
    """One client with one call in flight at a time."""

    async def open(self, load: Load) -> None:
        """Connect, and open a session if the transport has one; not measured."""

    def send_next(self) -> None:
        """Send the next call; report its response to the load."""

    def close(self) -> None:
        """Close the connection without an error."""


class Load:
    """One run: all clients, the count of responses and the end."""

    def __init__(self, check: Check, duration: float) -> None:
        self.check = check
        self.numbers: Iterator[int] = count(TOKEN)
        self._duration = duration
        self._answers = 0
        self._open = 0
        self._running = True
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self) -> bool:
        """Count a checked response; return whether the client goes on."""
        self._answers += 1
        if self._running:
            return True
        self._open -= 1
        if self._open == 0 and not self._done.done():
            self._done.set_result(None)
        return False

    def fail(self, error: Exception) -> None:
        """End the run with an error."""
        if not self._done.done():
            self._done.set_exception(error)

    async def run(self, clients: Sequence[Client]) -> Sample:
        """Run the clients for the duration, and wait for the last responses."""
        loop = asyncio.get_running_loop()
        try:
            for client in clients:
                await client.open(self)
            self._open = len(clients)
            loop.call_later(self._duration, self._stop)
            begin, cpu = time.perf_counter(), time.process_time()
            for client in clients:
                client.send_next()
            await asyncio.wait_for(self._done, self._duration + DRAIN_SECONDS)
            elapsed = time.perf_counter() - begin
            return Sample(self._answers / elapsed, (time.process_time() - cpu) / elapsed)
        except TimeoutError:
            raise BenchError(f"{self._open} clients still wait for an answer") from None
        finally:
            self._done.cancel()
            for client in clients:
                client.close()

    def _stop(self) -> None:
        self._running = False


class Answer:
    """The pattern of one client's responses: after one was checked, the others are compared with it."""

    __slots__ = ("_pattern",)

    def __init__(self) -> None:
        self._pattern: list[bytes] = []

    def fits(self, data: bytes, number: bytes) -> bool:
        """Return whether this is the known response with another number."""
        return data == number.join(self._pattern)

    def learn(self, data: bytes, number: bytes) -> None:
        """Use this response as the pattern from now on."""
        self._pattern = data.split(number)


def measure_clients(clients: Sequence[Client], check: Check, duration: float) -> Sample:
    """Load a server for `duration` seconds and return the rate."""

    async def run() -> Sample:
        return await Load(check, duration).run(clients)

    return uvloop.run(run())
