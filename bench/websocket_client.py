"""A WebSocket client on a plain connection: upgrades, opens a session, answers pings. See `websocket_frames`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from bench.errors import BenchError
from bench.jsonrpc_client import ANSWER_SECONDS, JsonRpcClient, pause
from bench.websocket_frames import CLOSE, PING, PONG, TEXT, read_frame, upgrade_request, write_frame

PATH = "/ws"


class WebSocketClient(JsonRpcClient, asyncio.Protocol):
    """One connection; another protocol may take over `transport` once the session is open."""

    transport: asyncio.Transport

    def __init__(self, port: int, address: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Create a client that connects from `address`, if given, with additional headers in the upgrade request."""
        super().__init__()
        self.port = port
        self._local = None if address is None else (address, 0)
        self._headers = headers
        self._upgraded: asyncio.Future[None] | None = None
        self._buffer = b""
        self.closed_with: int | None = None
        """The server's close code; None before."""

    async def connect(self) -> None:
        """Connect and upgrade."""
        loop = asyncio.get_running_loop()
        self._upgraded = loop.create_future()
        await loop.create_connection(lambda: self, "127.0.0.1", self.port, local_addr=self._local)
        self.transport.write(upgrade_request(self.port, PATH, self._headers))
        await asyncio.wait_for(self._upgraded, ANSWER_SECONDS)

    async def send(self, frame: bytes) -> None:
        """Send one message in a text frame."""
        self.transport.write(write_frame(TEXT, frame))

    def stop_reading(self) -> None:
        """Stop reading."""
        pause(self.transport)

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._upgraded is not None and not self._upgraded.done() and not self._take_head(self._upgraded):
            return
        start = 0
        while (frame := read_frame(self._buffer, start)) is not None:
            start = frame.end
            if frame.opcode == TEXT:
                self.take(frame.payload)
            elif frame.opcode == PING:
                self.transport.write(write_frame(PONG, frame.payload))
            elif frame.opcode == CLOSE:
                self.closed_with = int.from_bytes(frame.payload[:2])
        self._buffer = self._buffer[start:]

    def _take_head(self, upgraded: asyncio.Future[None]) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        self._buffer = rest
        if not head.startswith(b"HTTP/1.1 101"):
            upgraded.set_exception(BenchError(f"no WebSocket: {head[:200]!r}"))
            return False
        upgraded.set_result(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upgraded is not None and not self._upgraded.done():
            self._upgraded.set_exception(BenchError(f"the server closed a connection: {exc!r}"))
        self.lost(exc)
