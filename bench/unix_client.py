"""A client of the Unix socket: one JSON-RPC message per line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from bench.jsonrpc_client import JsonRpcClient, pause


class UnixClient(JsonRpcClient, asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._buffer = bytearray()

    async def connect(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, str(self._path))

    async def send(self, frame: bytes) -> None:
        """Send one message as a line."""
        self.transport.write(frame + b"\n")

    def stop_reading(self) -> None:
        """Stop reading."""
        pause(self.transport)

    def abort(self) -> None:
        """Drop the connection."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self.take(bytes(line))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost(exc)
