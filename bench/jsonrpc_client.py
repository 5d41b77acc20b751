"""A client's side of one conversation, whatever carries it: who waits for which answer, and the opening.

What a wire adds is how it connects, sends a frame and hands over what arrives. For set-up, and for clients of which
only a few speak at a time; the load generator has leaner ones.
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
        """Messages that arrived and were no answers."""
        self.ended: BenchError | None = None
        """What the server ended the connection with."""
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    @abstractmethod
    async def connect(self) -> None:
        """Open the connection."""

    @abstractmethod
    async def send(self, frame: bytes) -> None:
        """Send one message."""

    @abstractmethod
    def stop_reading(self) -> None:
        """Take nothing more of what the server sends, and send nothing more."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection without a word."""

    async def leave(self) -> None:
        """End the session and drop the connection."""
        self.abort()

    async def initialize(self) -> None:
        """Open the session."""
        if "result" not in await self.request(INITIALIZE):
            raise BenchError("initialize was refused")
        await self.send(encode(INITIALIZED))

    async def request(self, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
        """Send a request and wait for its answer."""
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
        """Hand over a message that has arrived."""
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
        """The connection has ended: nobody needs to wait any more."""
        self.ended = BenchError(f"the server closed the connection: {error!r}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self.ended)


def pause(transport: asyncio.Transport) -> None:
    """Read nothing more from a connection, and let the kernel keep little of what still comes."""
    transport.pause_reading()
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
