"""An HTTP+SSE client on plain connections: an event stream, and POSTs to the endpoint that the stream names."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urljoin

from bench.errors import BenchError
from bench.event_stream import EventStreamReader
from bench.jsonrpc_client import ANSWER_SECONDS, JsonRpcClient, pause
from bench.posts import Posts

PATH = "/sse"


class SseClient(JsonRpcClient, asyncio.Protocol):
    """One event stream; another protocol may take over its transport once the session is open.

    Clients can share one `Posts`. A client without a shared one creates its own and closes it at its end.
    """

    transport: asyncio.Transport

    def __init__(self, port: int, posts: Posts | None = None) -> None:
        super().__init__()
        self.port = port
        self._shared = posts is not None
        self._posts = posts if posts is not None else Posts(port)
        self._endpoint: asyncio.Future[str] | None = None
        self._reader = EventStreamReader()

    async def connect(self) -> None:
        """Open the stream and read the endpoint from its first event."""
        loop = asyncio.get_running_loop()
        self._endpoint = loop.create_future()
        await loop.create_connection(lambda: self, "127.0.0.1", self.port)
        head = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: text/event-stream\r\n\r\n"
        self.transport.write(head.encode())
        await asyncio.wait_for(self._endpoint, ANSWER_SECONDS)

    def post_request(self, frame: bytes) -> bytes:
        """The bytes of a POST of a message."""
        assert self._endpoint is not None
        head = (
            f"POST {self._endpoint.result()} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(frame)}\r\n\r\n"
        )
        return head.encode() + frame

    async def send(self, frame: bytes) -> None:
        """Post one message."""
        await self._posts.post(self.post_request(frame), 202)

    def stop_reading(self) -> None:
        """Stop reading the stream, and close the connection of the POSTs."""
        pause(self.transport)
        self._close_posts()

    def abort(self) -> None:
        """Drop the stream."""
        self._close_posts()
        self.transport.abort()

    def _close_posts(self) -> None:
        if not self._shared:
            self._posts.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._endpoint is not None
        try:
            events = self._reader.feed(data)
        except (BenchError, ValueError) as error:
            self._fail(error)
            return
        for event in events:
            if self._endpoint.done():
                self.take(event)
            else:
                self._endpoint.set_result(urljoin(PATH, event.decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(BenchError(f"the server closed the stream: {exc!r}"))

    def _fail(self, error: Exception) -> None:
        if self._endpoint is not None and not self._endpoint.done():
            self._endpoint.set_exception(error)
        self.lost(error)
