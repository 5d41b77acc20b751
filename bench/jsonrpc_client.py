"""The transport-independent part of a client: the handshake, and the matching of responses to requests.

A transport adds how to connect, to send a frame and to deliver received frames. For set-up, and for clients of which
few are active at a time; the load generator has leaner ones.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod

from bench.errors import BenchError
from bench.messages import INITIALIZE, INITIALIZED, Message, encode, parse

ANSWER_SECONDS = 60.0
UNREAD_BYTES = 64 * 1024


class JsonRpcClient(ABC):
    """One client of a server on this machine."""

    def __init__(self) -> None:
        self.received = 0
        """Number of received messages other than awaited responses."""
        self.ended: BenchError | None = None
        """The error of a lost connection; None while it is open."""
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    @abstractmethod
    async def connect(self) -> None:
        """Open the connection."""

    @abstractmethod
    async def send(self, frame: bytes) -> None:
        """Send one message."""

    @abstractmethod
    def stop_reading(self) -> None:
        """Stop reading from the server and sending to it."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection without an orderly close."""

    async def leave(self) -> None:
        """End the session and drop the connection."""
        self.abort()

    async def initialize(self) -> None:
        """Open the session."""
        if "result" not in await self.request(INITIALIZE):
            raise BenchError("initialize was refused")
        await self.send(encode(INITIALIZED))

    async def request(self, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
        """Send a request and return its response.

        Raises:
            BenchError: the connection was lost, or no response arrived within `seconds`.
        """
        if self.ended is not None:
            raise self.ended
        number: int = message["id"]
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self.send(encode(message))
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise BenchError(f"no answer to {message['method']} within {seconds:g} s") from None
        finally:
            self._waiting.pop(number, None)

    def take(self, frame: bytes) -> None:
        """Deliver a received message to its waiting request, or count it."""
        if not self._waiting:
            self.received += 1
            return
        message = parse(frame)
        future = self._waiting.get(message["id"]) if "method" not in message else None
        if future is None:
            self.received += 1
        elif not future.done():
            future.set_result(message)

    def lost(self, error: Exception | None) -> None:
        """Fail every waiting request, because the connection has ended."""
        self.ended = BenchError(f"the server closed the connection: {error!r}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self.ended)


def pause(transport: asyncio.Transport) -> None:
    """Stop reading from a connection, and shrink the kernel's receive buffer."""
    transport.pause_reading()
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
