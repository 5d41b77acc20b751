"""HTTP+SSE, the transport of the first revision: an event stream on GET, and an endpoint for the client's POSTs.

The stream represents the session. Its first event names an endpoint with an unguessable id. When the client
disconnects, the session and its calls end. A message may be posted to any replica: it is passed to the one that has the
stream. The peer handles the messages.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from tfo_mcp.presentation.jsonrpc import Malformed
from tfo_mcp.presentation.protocol.call import Facts, Transport
from tfo_mcp.presentation.server import Server, StateUnavailable
from tfo_mcp_transports.connection import Connection, Ending
from tfo_mcp_transports.http.bodies import RequestBytes, receive_json
from tfo_mcp_transports.http.sse_format import KEEP_ALIVE, message_event
from tfo_mcp_transports.network.authentication import RETRY_LATER, HttpAuthentication, address_of
from tfo_mcp_transports.network.responses import LARGE_BYTES, answer, refuse, send_part

_SSE = Transport("sse", "tcp", "http")
_UNKNOWN = "No stream has this session_id: GET the event stream again and use the endpoint that it names"
_UNREACHABLE = "The server that has the stream does not answer: send the message again later"


class LegacySseTransport:
    """Serves the event streams, and the messages that clients post for them."""

    def __init__(
        self,
        server: Server,
        authentication: HttpAuthentication,
        messages_path: str,
        max_body_bytes: int,
        keep_alive_seconds: float,
    ) -> None:
        self._server = server
        self._authentication = authentication
        self._messages_path = messages_path
        self._max_body_bytes = max_body_bytes
        self._keep_alive_seconds = keep_alive_seconds
        self._clients: dict[str, _Client] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the streams alive while the application runs."""
        stop_receiving = self._server.posts.receive(self._accept)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_alive)
                yield
                tasks.cancel_scope.cancel()
        finally:
            stop_receiving()

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the event stream of one client to its end."""
        if scope["method"] != "GET":
            await refuse(
                send, 405, "Use GET here, and POST to the endpoint that the stream names", [(b"allow", b"GET")]
            )
            return
        caller = await self._authentication.authenticate(scope, send, _SSE)
        if caller is None:
            return
        facts = Facts(_SSE, caller, address=address_of(scope))
        give_back = await self._authentication.take_stream(scope, send, facts)
        if give_back is None:
            return
        name = self._server.posts.new_stream()
        client = self._clients[name] = _Client(self._server, facts)
        try:
            await client.serve(f"{self._endpoint(scope)}?session_id={name}", scope, receive, send)
        finally:
            del self._clients[name]
            give_back()

    def _endpoint(self, scope: Scope) -> str:
        """Return the endpoint relative to the URL of the stream, so that it stays beneath any prefix of a proxy."""
        up = "../" if scope["path"].endswith("/") else ""
        return up + self._messages_path.removeprefix("/")

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept one posted message; its response is sent on the stream."""
        if scope["method"] != "POST":
            await refuse(send, 405, "Use POST", [(b"allow", b"POST")])
            return
        caller = await self._authentication.authenticate(scope, send, _SSE)
        if caller is None:
            return
        names = parse_qs(scope["query_string"].decode("latin-1")).get("session_id", [])
        if len(names) != 1:
            await refuse(send, 404, _UNKNOWN)
            return
        facts = Facts(_SSE, caller, address=address_of(scope))
        charged = RequestBytes(self._server.request_bytes, facts)
        try:
            frame = await receive_json(dict(scope["headers"]), self._max_body_bytes, charged, receive, send)
            if frame is not None:
                await self._pass_on(names[0], caller.name, frame, send)
        finally:
            charged.give_back()

    async def _pass_on(self, stream: str, caller: str, frame: bytes, send: Send) -> None:
        """Pass a message to the server that has the stream, and answer the POST."""
        try:
            refusal = await self._server.posts.post(stream, caller, frame)
        except StateUnavailable:
            await refuse(send, 503, _UNREACHABLE, RETRY_LATER)
            return
        if refusal is None:
            await refuse(send, 404, _UNKNOWN)
        elif refusal:
            await answer(send, 400, refusal, b"application/json")
        else:
            await answer(send, 202, b"Accepted\n", b"text/plain; charset=utf-8")

    async def _accept(self, stream: str, caller: str, frame: bytes) -> bytes | None:
        """Serve a message for a stream of this server; return a refusal, empty if it is accepted, None without one."""
        client = self._clients.get(stream)
        if client is None or client.facts.caller.name != caller:
            return None
        message = await client.connection.parse(frame)
        if isinstance(message, Malformed) and message.id is None:  # without an id, only the POST can be answered
            return await client.connection.refusal(message)
        await client.connection.room()
        if client.left:
            return None
        client.connection.take(frame, message)
        return b""

    async def _keep_alive(self) -> None:
        while True:
            await anyio.sleep(self._keep_alive_seconds)
            for client in tuple(self._clients.values()):
                client.keep_alive()


class _Client:
    """One event stream."""

    def __init__(self, server: Server, facts: Facts) -> None:
        self.facts = facts
        self._events, self._outgoing = anyio.create_memory_object_stream[bytes]()
        self.connection = Connection(server, facts, self._put, self._end)
        self.left = False
        """Whether the stream has ended, so that no response can be sent."""

    async def serve(self, endpoint: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the client or the server closes the stream."""
        first = ServerSentEvent(endpoint, event="endpoint", sep="\n").encode()
        async with self.connection.serving():
            leaving = asyncio.create_task(self._end_when_left(receive))
            try:
                with self._events, self._outgoing:
                    await _EventStream(first, self._outgoing)(scope, receive, send)
            finally:
                self.left = True
                leaving.cancel()

    def keep_alive(self) -> None:
        """Send a comment, unless an event is being sent."""
        with suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._events.send_nowait(KEEP_ALIVE)

    async def _put(self, frame: bytes) -> None:
        """Send a frame; after a large one, return only when the client has received most of it."""
        event = message_event(frame, None)
        try:
            await self._hand_over(event)
            if len(event) > LARGE_BYTES:
                await self._hand_over(b"")  # accepted only after the event has been sent
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise BrokenPipeError from None

    async def _hand_over(self, event: bytes) -> None:
        try:
            self._events.send_nowait(event)
        except anyio.WouldBlock:
            await self._events.send(event)

    async def _end_when_left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._events.close()

    def _end(self, _ending: Ending) -> None:
        self._events.close()


class _EventStream(EventSourceResponse):
    """The library's response with a first event, and without the library's own tasks.

    The library would run tasks for each stream to detect a disconnect and a shutdown and to send pings, which cost
    20 KiB of memory for each client. Here the connection detects the first two, and one task keeps all streams alive.
    """

    def __init__(self, first: bytes, others: AsyncIterator[bytes]) -> None:
        super().__init__(others)
        self._first = first
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the iterator ends."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send_part(send, self._first)
        async for event in self._others:
            if event:
                await send_part(send, event)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
