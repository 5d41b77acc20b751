"""The HTTP load generator: C keep-alive connections, each sending its next request when the last answer is in.

It is lean so that a server on one core is the bottleneck and not this process: requests are joined from prepared
pieces, and an answer is compared with the first answer of its connection, which was checked in full; only an answer
that differs in more than its number is parsed. `Sample.generator_share` says how busy this process was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import cast

import uvloop

from bench.errors import BenchError
from bench.http_answers import AnswerReader
from bench.messages import TOKEN

DRAIN_SECONDS = 20.0
TOKEN_BYTES = str(TOKEN).encode()

Check = Callable[[bytes, int], None]
"""Checks the body of the answer to a numbered request; raises BenchError."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: the figure in the unit of its row, and the share of its core that the generator used."""

    figure: float
    generator_share: float = 0.0


class Connection(asyncio.Protocol):
    """One keep-alive connection that goes round its requests for as long as the load runs."""

    def __init__(self, load: Load, requests: Sequence[bytes]) -> None:
        self._load = load
        self._requests = [request.split(TOKEN_BYTES) for request in requests]
        self._turn = 0
        self._number = b""
        self._reader = AnswerReader()
        self._pattern: list[bytes] = []
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send_next(self) -> None:
        """Send the next request under a number of its own."""
        assert self._transport is not None
        requests = self._requests
        self._number = number = b"%d" % next(self._load.numbers)
        self._turn = turn = (self._turn + 1) % len(requests)
        self._transport.write(number.join(requests[turn]))

    def data_received(self, data: bytes) -> None:
        try:
            body = self._reader.feed(data)
            if body is None:
                return
            if body != self._number.join(self._pattern):
                self._load.check(body, int(self._number))
                self._pattern = body.split(self._number)
        except (BenchError, ValueError) as error:
            self._load.fail(error)
            return
        if self._load.answered():
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(BenchError(f"the server closed a connection: {exc!r}"))

    def close(self) -> None:
        """Close without a complaint."""
        if self._transport is not None:
            self._transport.abort()


class Load:
    """One run: all connections, the count of answers and the end."""

    def __init__(self, check: Check, duration: float) -> None:
        self.check = check
        self.numbers: Iterator[int] = count(TOKEN)
        self._duration = duration
        self._answers = 0
        self._open = 0
        self._running = True
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self) -> bool:
        """Count a checked answer; say whether the connection goes on."""
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

    async def run(self, port: int, plans: Sequence[Sequence[bytes]]) -> Sample:
        """Open one connection per plan, go round its requests for the duration, and wait for the last answers."""
        loop = asyncio.get_running_loop()
        connections = [Connection(self, plan) for plan in plans]
        try:
            for connection in connections:
                await loop.create_connection(partial(_same, connection), "127.0.0.1", port)
            self._open = len(connections)
            loop.call_later(self._duration, self._stop)
            begin, cpu = time.perf_counter(), time.process_time()
            for connection in connections:
                connection.send_next()
            await asyncio.wait_for(self._done, self._duration + DRAIN_SECONDS)
            elapsed = time.perf_counter() - begin
            return Sample(self._answers / elapsed, (time.process_time() - cpu) / elapsed)
        except TimeoutError:
            raise BenchError(f"{self._open} connections still wait for an answer") from None
        finally:
            self._done.cancel()
            for connection in connections:
                connection.close()

    def _stop(self) -> None:
        self._running = False


def _same(connection: Connection) -> Connection:
    return connection


def measure(port: int, plans: Sequence[Sequence[bytes]], check: Check, duration: float) -> Sample:
    """Put load on a server for `duration` seconds; one connection per plan, a plan being the requests it goes round."""

    async def run() -> Sample:
        return await Load(check, duration).run(port, plans)

    return uvloop.run(run())
