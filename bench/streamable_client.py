"""A Streamable HTTP client: short requests on a keep-alive connection, and streams on separate connections."""

from __future__ import annotations

import asyncio
from typing import cast

from bench.errors import BenchError
from bench.event_stream import EventStreamReader
from bench.http_endpoint import Endpoint
from bench.jsonrpc_client import ANSWER_SECONDS, JsonRpcClient, pause
from bench.messages import Era, Message, parse
from bench.posts import Posts


class StreamableClient(JsonRpcClient):
    """One session, or none in the stateless era; with `listening`, it also opens the standalone stream."""

    def __init__(self, port: int, era: Era = Era.HANDSHAKE, *, listening: bool = False) -> None:
        super().__init__()
        self._port = port
        self._endpoint = Endpoint(port)
        self._era = era
        self._listening = listening
        self._session: str | None = None
        self._posts = Posts(port)
        self._streams: list[_Stream] = []

    async def connect(self) -> None:
        """Do nothing: each request opens its connection if necessary."""

    async def initialize(self) -> None:
        """Open the session in the handshake era, and its standalone stream if `listening`."""
        if self._era is Era.HANDSHAKE:
            self._session = (await asyncio.to_thread(self._endpoint.sessions, 1))[0]
        if self._listening and self._session is not None:
            await self._open(self._endpoint.listen_request(self._session))

    async def request(self, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
        """Post a request with a JSON response, and return the response."""
        request = self._endpoint.request(self._era, message, self._session)
        return parse(await asyncio.wait_for(self._posts.post(request, 200), seconds))

    async def send(self, frame: bytes) -> None:
        """Post a request whose response is a stream."""
        await self._open(self._endpoint.request(self._era, parse(frame), self._session))

    def stop_reading(self) -> None:
        """Stop reading all streams."""
        self._posts.close()
        for stream in self._streams:
            pause(stream.transport)

    def abort(self) -> None:
        """Drop all connections."""
        self._posts.close()
        for stream in self._streams:
            stream.transport.abort()

    async def leave(self) -> None:
        """Delete the session and drop all connections."""
        if self._session is not None:
            await self._posts.post(self._endpoint.delete_request(self._session), 204)
        self.abort()

    async def _open(self, request: bytes) -> None:
        stream = _Stream(self)
        await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", self._port)
        stream.transport.write(request)
        self._streams.append(stream)


class _Stream(asyncio.Protocol):
    """The connection of one request and its events."""

    transport: asyncio.Transport

    def __init__(self, client: StreamableClient) -> None:
        self._client = client
        self._reader = EventStreamReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._reader.feed(data):
                self._client.take(event)
        except (BenchError, ValueError) as error:
            self._client.lost(error)
            self.transport.abort()
