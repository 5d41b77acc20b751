"""The shop workload: visitors who open a session, call one tool of the shop, and delete the session, again and again.

Every response counts. The shape is that of a public comparison of MCP servers: three tools over Redis and an HTTP API.
"""

from __future__ import annotations

import asyncio
import re
from itertools import cycle
from typing import cast

from bench.errors import BenchError
from bench.generator import Load, Sample, measure_clients
from bench.http_answers import AnswerReader
from bench.http_endpoint import Endpoint
from bench.messages import INITIALIZE, INITIALIZED, TOKEN, Era, Message, call_tool, parse

VISITORS = 50
_SESSION = re.compile(rb"\r\nmcp-session-id: *([!-~]+)", re.IGNORECASE)
_CALLS = (
    ("search_products", {"category": "books", "limit": 10}, '"books-9"'),
    ("get_cart", {"user": f"user-{TOKEN}"}, f'"user-{TOKEN}"'),
    ("checkout", {"user": f"user-{TOKEN}", "product": "books-3", "quantity": 2}, '"total"'),
)


class Visitor(asyncio.Protocol):
    """One keep-alive connection, whose requests wait for the response to the one before."""

    _load: Load
    _transport: asyncio.WriteTransport | None = None

    def __init__(self, endpoint: Endpoint, number: int) -> None:
        self._endpoint = endpoint
        self._calls = cycle(_CALLS[number % len(_CALLS) :] + _CALLS[: number % len(_CALLS)])
        self._expected: str | None = None
        self._session: str | None = None
        self._steps = cycle((self._initialize, self._confirm, self._call, self._delete))
        self._reader = AnswerReader()

    async def open(self, load: Load) -> None:
        """Connect."""
        self._load = load
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._endpoint.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send_next(self) -> None:
        """Send the request of the next step."""
        assert self._transport is not None
        self._transport.write(next(self._steps)())

    def data_received(self, data: bytes) -> None:
        try:
            body = self._reader.feed(data)
            if body is None:
                return
            if self._session is None:
                self._session = _session_of(self._reader.head)
            if self._expected is not None:
                _check(parse(body), self._expected)
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

    def _initialize(self) -> bytes:
        self._session = None
        return self._post(INITIALIZE, 200)

    def _confirm(self) -> bytes:
        return self._post(INITIALIZED, 202)

    def _call(self) -> bytes:
        name, arguments, expected = next(self._calls)
        request = self._post(call_tool(Era.HANDSHAKE, name, arguments), 200)
        self._expected = expected
        return request

    def _delete(self) -> bytes:
        self._expected = None
        self._reader = AnswerReader(200, 204)
        assert self._session is not None
        return self._endpoint.delete_request(self._session)

    def _post(self, message: Message, status: int) -> bytes:
        self._expected = None
        self._reader = AnswerReader(status)
        return self._endpoint.request(Era.HANDSHAKE, message, self._session)


def _session_of(head: bytes) -> str:
    found = _SESSION.search(head)
    if found is None:
        raise BenchError(f"no session: {head[:300]!r}")
    return found[1].decode()


def _check(answer: Message, expected: str) -> None:
    """Check that a tool has answered with a text that contains something."""
    result = answer.get("result", {})
    content = result.get("content") or [{}]
    if result.get("isError") or expected not in content[0].get("text", ""):
        raise BenchError(f"a wrong answer of the shop: {str(answer)[:300]}")


def measure(endpoint: Endpoint, duration: float) -> Sample:
    """Load a server with `VISITORS` visitors; the figure is the number of responses a second."""
    visitors = [Visitor(endpoint, number) for number in range(VISITORS)]
    return measure_clients(visitors, lambda _body, _number: None, duration)
