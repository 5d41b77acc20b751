"""Load over WebSocket: each connection sends one call in a frame, and the next one after the response."""

from __future__ import annotations

import asyncio

from bench.errors import BenchError
from bench.generator import TOKEN_BYTES, Answer, Check, Load, Sample, measure_clients
from bench.messages import Era, Message, encode
from bench.websocket_client import WebSocketClient
from bench.websocket_frames import TEXT, read_frame, write_frame


class WebSocketCaller(asyncio.Protocol):
    """One connection that calls for as long as the load runs; it compares whole frames instead of parsing them."""

    _load: Load
    _transport: asyncio.Transport | None = None

    def __init__(self, port: int, era: Era, message: Message) -> None:
        self._port = port
        self._era = era
        self._pieces = write_frame(TEXT, encode(message)).split(TOKEN_BYTES)
        self._number = b""
        self._buffer = b""
        self._answer = Answer()

    async def open(self, load: Load) -> None:
        """Connect, and open a session in the handshake era."""
        self._load = load
        client = WebSocketClient(self._port)
        await client.connect()
        if self._era is Era.HANDSHAKE:
            await client.initialize()
        self._transport = client.transport
        self._transport.set_protocol(self)

    def send_next(self) -> None:
        """Send the next call with a new number."""
        assert self._transport is not None
        self._number = number = b"%d" % next(self._load.numbers)
        self._transport.write(number.join(self._pieces))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        try:
            if not self._answer.fits(data, self._number) and not self._read(data):
                self._buffer = data
                return
        except (BenchError, ValueError) as error:
            self._load.fail(error)
            return
        self._buffer = b""
        if self._load.answered():
            self.send_next()

    def _read(self, data: bytes) -> bool:
        """Check a response of a new form; return False while it is incomplete."""
        frame = read_frame(data)
        if frame is None:
            return False
        if frame.opcode != TEXT or frame.end != len(data):
            raise BenchError(f"not one text frame: {data[:300]!r}")
        self._load.check(frame.payload, int(self._number))
        self._answer.learn(data, self._number)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(BenchError(f"the server closed a connection: {exc!r}"))

    def close(self) -> None:
        """Close the connection without an error."""
        if self._transport is not None:
            self._transport.abort()


def measure(port: int, era: Era, message: Message, connections: int, check: Check, duration: float) -> Sample:
    """Load a server over this number of WebSocket connections."""
    callers = [WebSocketCaller(port, era, message) for _ in range(connections)]
    return measure_clients(callers, check, duration)
