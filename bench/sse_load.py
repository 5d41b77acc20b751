"""Load over HTTP+SSE: each client posts a call, and the next one after its acceptance and its response."""

from __future__ import annotations

import asyncio

from bench.errors import BenchError
from bench.event_stream import read_chunk
from bench.generator import TOKEN_BYTES, Answer, Check, Load, Sample, measure_clients
from bench.http_answers import AnswerReader, events
from bench.messages import Message, encode
from bench.posts import Posts
from bench.sse_client import SseClient


class SseCaller(asyncio.Protocol):
    """One client; this protocol reads its stream, and its POSTs use a separate keep-alive connection."""

    _load: Load
    _stream: asyncio.Transport | None = None
    _posts: asyncio.WriteTransport | None = None

    def __init__(self, port: int, message: Message) -> None:
        self._port = port
        self._message = message
        self._pieces: list[bytes] = []
        self._number = b""
        self._buffer = b""
        self._answer = Answer()
        self._missing = 0

    async def open(self, load: Load) -> None:
        """Open the stream and a session, and the connection for the POSTs."""
        self._load = load
        posts = Posts(self._port)
        client = SseClient(self._port, posts)
        try:
            await client.connect()
            await client.initialize()
        finally:
            posts.close()
        self._pieces = client.post_request(encode(self._message)).split(TOKEN_BYTES)
        self._stream = client.transport
        self._stream.set_protocol(self)
        loop = asyncio.get_running_loop()
        self._posts, _ = await loop.create_connection(lambda: Accepted(self), "127.0.0.1", self._port)

    def send_next(self) -> None:
        """Post the next call with a new number."""
        assert self._posts is not None
        self._number = number = b"%d" % next(self._load.numbers)
        self._missing = 2
        self._posts.write(number.join(self._pieces))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        try:
            if not self._answer.fits(data, self._number) and not self._read(data):
                return
        except (BenchError, ValueError) as error:
            self.fail(error)
            return
        self.arrived()

    def _read(self, data: bytes) -> bool:
        """Check a response of a new form; return False and keep its bytes while it is incomplete."""
        chunk = read_chunk(data)
        while chunk is not None and chunk.body.startswith(b":"):  # a comment, which keeps the stream alive
            data = data[chunk.end :]
            chunk = read_chunk(data)
        if chunk is None:
            self._buffer = data
            return False
        found = events(chunk.body)
        if chunk.end != len(data) or len(found) != 1:
            raise BenchError(f"not one event: {data[:300]!r}")
        self._load.check(found[0], int(self._number))
        self._answer.learn(data, self._number)
        return True

    def arrived(self) -> None:
        """Count the response or the acceptance of its POST; after both, send the next call."""
        self._missing -= 1
        if self._missing == 0 and self._load.answered():
            self.send_next()

    def fail(self, error: Exception) -> None:
        """Fail the load with an error of one of the two connections."""
        self._load.fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(BenchError(f"the server closed a stream: {exc!r}"))

    def close(self) -> None:
        """Close both connections without an error."""
        for transport in (self._posts, self._stream):
            if transport is not None:
                transport.abort()


class Accepted(asyncio.Protocol):
    """The connection of one client's POSTs."""

    def __init__(self, caller: SseCaller) -> None:
        self._caller = caller
        self._reader = AnswerReader(202)

    def data_received(self, data: bytes) -> None:
        try:
            if self._reader.feed(data) is not None:
                self._caller.arrived()
        except (BenchError, ValueError) as error:
            self._caller.fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._caller.fail(BenchError(f"the server closed a connection: {exc!r}"))


def measure(port: int, message: Message, clients: int, check: Check, duration: float) -> Sample:
    """Load a server with this number of HTTP+SSE clients."""
    return measure_clients([SseCaller(port, message) for _ in range(clients)], check, duration)
