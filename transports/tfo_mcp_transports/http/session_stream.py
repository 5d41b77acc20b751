"""Standalone streams: the GET streams that carry a session's notifications outside of requests, and resumed streams.

A session has one standalone stream. It is kept for a while without a reader, so that a client that reconnects misses
nothing; then it ends. A client can resume any stream of its session from the log, whichever process wrote it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex

import anyio
from anyio.abc import TaskGroup
from starlette.types import Receive, Send

from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.protocol.call import Facts, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, Kind, Refusal
from tfo_mcp.presentation.protocol.revisions import Revision
from tfo_mcp.presentation.server import Server
from tfo_mcp.presentation.streams import ResumableStream
from tfo_mcp_transports.http.sse_format import KEEP_ALIVE, STREAM_HEADERS, message_event, priming_event, retry_event
from tfo_mcp_transports.network.responses import refuse, send_part

_KEPT_SECONDS = 60.0
_RETRY_MS = 1000


@dataclass(slots=True)
class _LogOutlet(Outlet):
    """Appends change notifications, which belong to no request, to the stream's log."""

    stream: ResumableStream

    async def notify(self, frame: bytes) -> None:
        await self.stream.append(frame)

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Do nothing: this outlet serves no request."""


@dataclass(slots=True)
class _Standalone:
    """A session's standalone stream, with the scopes of its writer and its reader.

    `left` is set when a reader resumes the stream; it exists only while the stream has lost its reader.
    """

    peer: Peer
    stream: ResumableStream
    scope: anyio.CancelScope
    reader: anyio.CancelScope | None = None
    left: anyio.Event | None = None


class StandaloneStreams:
    """Opens, resumes and ends the streams that clients read with GET."""

    def __init__(self, server: Server, keep_alive_seconds: float) -> None:
        self._server = server
        self._keep_alive_seconds = keep_alive_seconds
        self._by_session: dict[str, _Standalone] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write change notifications to open streams until the context is left."""
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    async def serve(
        self, peer: Peer, facts: Facts, revision: Revision, last_event_id: str, receive: Receive, send: Send
    ) -> None:
        """Answer a GET: resume the stream that contains `last_event_id`, or open the session's standalone stream."""
        session_id = peer.session_id
        assert session_id is not None
        resumed = await self._server.streams.find(session_id, last_event_id) if last_event_id else None
        own = self._by_session.get(session_id)
        if resumed is not None:
            stream, after = resumed
            reader = _Reader(self._server, facts, stream, revision, self._keep_alive_seconds, receive, send)
            if stream.is_standalone:
                own = await self._continue(own, stream, peer, facts)
                await self._read(own, reader, after, peer, resumes=True)
            else:
                await reader.run(after, peer)
            return
        if own is not None and own.reader is not None:
            await _refuse_second(send)
            return
        fresh = await self._server.streams.open(session_id, facts.account, is_standalone=True)
        reader = _Reader(self._server, facts, fresh, revision, self._keep_alive_seconds, receive, send)
        if not await fresh.claim(reader.name, resumes=False):
            await fresh.finish()
            await _refuse_second(send)
            return
        if own is not None:
            own.scope.cancel()
        await self._read(self._begin(fresh, peer, facts), reader, 0, peer)

    async def _continue(
        self, own: _Standalone | None, stream: ResumableStream, peer: Peer, facts: Facts
    ) -> _Standalone | None:
        """Return what writes a resumed stream in this process; None if another process writes it."""
        if own is not None and own.stream.name == stream.name:
            return own
        if await stream.take_over():
            return self._begin(stream, peer, facts)
        return None

    def _begin(self, stream: ResumableStream, peer: Peer, facts: Facts) -> _Standalone:
        assert self._tasks is not None
        assert peer.session_id is not None
        own = self._by_session[peer.session_id] = _Standalone(peer, stream, anyio.CancelScope())
        self._tasks.start_soon(self._announce, own, facts)
        return own

    async def _announce(self, own: _Standalone, facts: Facts) -> None:
        session_id = own.peer.session_id
        announcements = await own.peer.announcements(_LogOutlet(own.stream), facts)
        with own.scope:
            await own.stream.ended()
        announcements.close()
        with anyio.CancelScope(shield=True):
            await own.stream.finish()
        if session_id is not None and self._by_session.get(session_id) is own:
            del self._by_session[session_id]

    async def _read(
        self, own: _Standalone | None, reader: "_Reader", after: int, peer: Peer, *, resumes: bool = False
    ) -> None:
        """Run `reader`, and cancel the previous reader in this process, whose client has reconnected.

        Args:
            own: what writes the stream, None if another process does.
            resumes: whether the reader still has to claim the stream.
        """
        if resumes:
            await reader.stream.claim(reader.name, resumes=True)
        try:
            if own is None:
                await reader.run(after, peer)
            else:
                await self._read_own(own, reader, after)
        finally:
            with anyio.CancelScope(shield=True):
                await reader.stream.release(reader.name)

    async def _read_own(self, own: _Standalone, reader: "_Reader", after: int) -> None:
        if own.reader is not None:
            own.reader.cancel()
        if own.left is not None:
            own.left.set()
            own.left = None
        with anyio.CancelScope() as scope:
            own.reader = scope
            await reader.run(after, own.peer)
        if own.reader is scope:
            own.reader = None
            if self._tasks is not None and not self._server.stopping.is_set():
                own.left = anyio.Event()
                self._tasks.start_soon(self._end_unless_resumed, own, own.left)

    async def _end_unless_resumed(self, own: _Standalone, resumed: anyio.Event) -> None:
        with anyio.move_on_after(_KEPT_SECONDS):
            await resumed.wait()
            return
        while await own.stream.is_read():  # by a client that has reconnected to another process
            with anyio.move_on_after(_KEPT_SECONDS):
                await resumed.wait()
                return
        own.scope.cancel()


async def _refuse_second(send: Send) -> None:
    await refuse(send, 409, "This session's stream is open already")


class _Reader:
    """Sends one stream to one connection until the stream ends, the client disconnects or the server stops."""

    def __init__(
        self,
        server: Server,
        facts: Facts,
        stream: ResumableStream,
        revision: Revision,
        keep_alive_seconds: float,
        receive: Receive,
        send: Send,
    ) -> None:
        self.name = token_hex(6)
        self.stream = stream
        self._server = server
        self._facts = facts
        self._revision = revision
        self._keep_alive_seconds = keep_alive_seconds
        self._receive = receive
        self._send = send
        self._writing = anyio.Lock()

    async def run(self, after: int, peer: Peer) -> None:
        """Send the events after event number `after`."""
        await self._send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS]})
        await self._write(
            priming_event(self.stream.first_event_id, _RETRY_MS)
            if self._revision.priming and after == 0
            else KEEP_ALIVE
        )
        try:
            async with anyio.create_task_group() as tasks:
                with self._server.registered(self._facts.caller, tasks.cancel_scope.cancel):
                    await self._forward(tasks, after, peer)
        except* Refusal:  # the session has ended
            pass
        with anyio.CancelScope(shield=True):
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _forward(self, tasks: TaskGroup, after: int, peer: Peer) -> None:
        """Send the stream's events, and end with the stream, the client or the server."""
        tasks.start_soon(self._end_when_left, tasks.cancel_scope)
        tasks.start_soon(self._end_when_stopping, tasks.cancel_scope)
        tasks.start_soon(self._keep_alive, peer)
        async for event_id, frame in self.stream.follow(after, self.name):
            await self._write(message_event(frame, event_id if self._revision.resumable else None))
        tasks.cancel_scope.cancel()

    async def _write(self, part: bytes) -> None:
        async with self._writing:
            await send_part(self._send, part)

    async def _keep_alive(self, peer: Peer) -> None:
        """Send comments, and keep the session from becoming idle."""
        while True:
            await anyio.sleep(self._keep_alive_seconds)
            await self._write(KEEP_ALIVE)
            try:
                await peer.own_session(self._facts)
            except Refusal as refusal:
                if refusal.fault.kind is not Kind.STATE_UNAVAILABLE:
                    raise

    async def _end_when_left(self, scope: anyio.CancelScope) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _end_when_stopping(self, scope: anyio.CancelScope) -> None:
        await self._server.stopping.wait()
        await self._write(retry_event(_RETRY_MS))
        scope.cancel()
