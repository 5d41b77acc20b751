"""A keep-alive connection that posts one request at a time and waits for the complete response."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from bench.errors import BenchError
from bench.http_answers import AnswerReader
from bench.jsonrpc_client import ANSWER_SECONDS

REUSED_SECONDS = 2.0  # below the idle timeout of servers, usually five seconds


class Posts(asyncio.Protocol):
    """One connection to a server on the loopback address, reopened when it was idle for a while."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.WriteTransport | None = None
        self._turn = asyncio.Lock()
        self._used = 0.0
        self._reader = AnswerReader()
        self._answer: asyncio.Future[bytes] | None = None

    async def post(self, request: bytes, status: int) -> bytes:
        """Send the bytes of a request; return the body of its response, which must have this status."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            if self._transport is None or time.monotonic() - self._used > REUSED_SECONDS:
                self.close()
                await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            assert self._transport is not None
            self._reader = AnswerReader(status)
            self._answer = loop.create_future()
            self._transport.write(request)
            try:
                return await asyncio.wait_for(self._answer, ANSWER_SECONDS)
            except BaseException:
                self.close()
                raise
            finally:
                self._answer = None
                self._used = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            body = self._reader.feed(data)
        except (BenchError, ValueError) as error:
            self._settle(error)
            return
        if body is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None and self._transport.is_closing():  # otherwise a new one is open already
            self._transport = None
        self._settle(BenchError(f"the server closed the connection of the POSTs: {exc!r}"))

    def _settle(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
