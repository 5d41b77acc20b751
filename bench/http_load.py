"""Load over HTTP: each keep-alive connection is one client, which posts its requests one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from bench.errors import BenchError
from bench.generator import TOKEN_BYTES, Answer, Check, Load, Sample, measure_clients
from bench.http_answers import AnswerReader


class HttpClient(asyncio.Protocol):
    """One keep-alive connection that repeats its requests in turn for as long as the load runs."""

    _load: Load
    _transport: asyncio.WriteTransport | None = None

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port = port
        self._requests = [request.split(TOKEN_BYTES) for request in requests]
        self._turn = 0
        self._number = b""
        self._reader = AnswerReader()
        self._answer = Answer()

    async def open(self, load: Load) -> None:
        """Connect."""
        self._load = load
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send_next(self) -> None:
        """Send the next request with a new number."""
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
            if not self._answer.fits(body, self._number):
                self._load.check(body, int(self._number))
                self._answer.learn(body, self._number)
        except (BenchError, ValueError) as error:
            self._load.fail(error)
            return
        if self._load.answered():
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(BenchError(f"the server closed a connection: {exc!r}"))

    def close(self) -> None:
        """Close the connection without an error."""
        if self._transport is not None:
            self._transport.abort()


def measure(port: int, plans: Sequence[Sequence[bytes]], check: Check, duration: float) -> Sample:
    """Load a server with one connection per plan; a plan is the requests that a connection repeats in turn."""
    return measure_clients([HttpClient(port, plan) for plan in plans], check, duration)
