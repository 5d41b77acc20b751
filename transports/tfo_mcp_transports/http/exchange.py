"""Exchange: the outlet of one POST request and its response.

The response is plain JSON, or a stream of server-sent events if other messages precede it or it takes long. A client
of the handshake era can disconnect from such a stream and resume it. Knows no method and no session store.
"""

from asyncio import Task, create_task
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import anyio
from starlette.types import Receive, Send

from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.protocol.call import Facts, Outlet, Unreachable
from tfo_mcp.presentation.protocol.faults import Fault, Kind, draining
from tfo_mcp.presentation.protocol.revisions import Revision
from tfo_mcp.presentation.server import Server
from tfo_mcp.presentation.streams import ResumableStream
from tfo_mcp_transports.http.sse_format import KEEP_ALIVE, STREAM_HEADERS, message_event, priming_event, retry_event
from tfo_mcp_transports.network.deadlines import Deadlines
from tfo_mcp_transports.network.responses import Headers, answer, empty, send_part

_STREAM_AFTER_SECONDS = 5.0
_RETRY_MS = 1000
_JSON = b"application/json"

Explain = Callable[[Fault, int], tuple[int, Headers]]
"""Maps a fault and the revision's HTTP status to the status of the response and its explaining headers."""


class Exchange(Outlet):
    """Answers one POST.

    A long call gets a watcher task. The watcher detects a disconnect, turns the response into a stream after a while so
    that no proxy times out, and keeps the stream alive. A short call needs no watcher.
    """

    _revision: Revision | None = None
    _stream: ResumableStream | None = None
    _streaming = False
    _connected = True
    _writing: anyio.Lock | None = None
    _watcher: Task[None] | None = None

    def __init__(
        self,
        server: Server,
        peer: Peer,
        facts: Facts,
        receive: Receive,
        send: Send,
        *,
        accepts_json: bool,
        accepts_stream: bool,
        keep_alive_seconds: float,
        watch_deadlines: Deadlines,
        explain: Explain,
    ) -> None:
        self._server = server
        self._peer = peer
        self._facts = facts
        self._without_session = peer.session_id is None
        self._receive = receive
        self._send = send
        self._accepts_json = accepts_json
        self._accepts_stream = accepts_stream
        self._keep_alive_seconds = keep_alive_seconds
        self._deadlines = watch_deadlines
        self._explain = explain

    def begin(self, revision: Revision) -> None:
        """Begin a request, and schedule the watcher for the case that it takes long.

        Raises:
            Refusal: the server is shutting down.
        """
        if self._server.stopping.is_set():
            raise draining(revision)
        if self._revision is None:
            self._revision = revision
            self._deadlines.start(self._start_watching)

    async def notify(self, frame: bytes) -> None:
        """Send a notification as an event; drop it if the client accepts no stream."""
        if self._accepts_stream:
            await self._start()
            await self._write_event(frame)

    async def require_stream(self) -> None:
        """Check that the client accepts a stream.

        Raises:
            Fault: the client accepts no stream.
        """
        if not self._accepts_stream:
            raise Fault(Kind.NOT_ACCEPTABLE, "Send Accept: application/json, text/event-stream")

    async def request(self, frame: bytes) -> None:
        """Send a request from the server to the client as an event.

        Raises:
            Unreachable: the client accepts no stream, or has disconnected from one that it cannot resume.
        """
        if not self._accepts_stream or not (self._connected or self._stream is not None):
            raise Unreachable
        await self.notify(frame)

    async def disconnect(self, retry_ms: int) -> None:
        """End the connection of a stream that the client can resume from the first event; later events are kept."""
        if not self._accepts_stream or self._revision is None or not self._revision.priming:
            return
        await self._start()
        if self._stream is not None and self._connected:
            await self._write(retry_event(retry_ms))
            await self._disconnect()

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Send the response and end the exchange; without a stream, a fault sets the HTTP status and headers."""
        self._stop_watching()
        headers = self._session_headers()
        status = revision.http_status(None if fault is None else fault.kind)
        if fault is not None:
            status, explaining = self._explain(fault, status)
            headers += explaining
        if self._streaming or (status == 200 and not self._accepts_json):
            await self._start()
            await self._write_event(frame)
            await self._finish()
            return
        await answer(self._send, status, frame, _JSON, headers)

    async def no_reply(self) -> None:
        """End the exchange without a message: end the stream of a cancelled request, or send 202 for anything else."""
        self._stop_watching()
        if self._revision is not None and self._accepts_stream:
            await self._start()
            await self._finish()
        else:
            await empty(self._send, 202)

    def close(self) -> None:
        """Stop the watcher, however the exchange ended."""
        self._stop_watching()

    def _session_headers(self) -> list[tuple[bytes, bytes]]:
        session_id = self._peer.session_id
        if session_id is None or not self._without_session:
            return []
        self._server.peers.register(self._peer)
        return [(b"mcp-session-id", session_id.encode())]

    async def _start(self) -> None:
        """Turn the response into a stream; a no-op if it is one already."""
        if self._streaming:
            return
        self._streaming = True
        self._writing = anyio.Lock(fast_acquire=True)
        async with self._writing:
            headers = [*STREAM_HEADERS, *self._session_headers()]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            revision, session_id = self._revision, self._peer.session_id
            if revision is not None and revision.resumable and session_id is not None:
                with suppress(Fault):  # the log cannot be reached: the stream cannot be resumed then
                    self._stream = await self._server.streams.open(session_id, self._facts.account)
                if revision.priming and self._stream is not None:
                    await send_part(self._send, priming_event(self._stream.first_event_id, _RETRY_MS))

    async def _write_event(self, frame: bytes) -> None:
        event_id = await self._stream.append(frame) if self._stream is not None else None
        if self._connected:
            await self._write(message_event(frame, event_id))

    async def _write(self, part: bytes) -> None:
        assert self._writing is not None
        async with self._writing:
            await send_part(self._send, part)

    async def _finish(self) -> None:
        if self._stream is not None:
            await self._stream.finish()
        await self._disconnect()

    async def _disconnect(self) -> None:
        if self._connected:
            self._connected = False
            self._stop_watching()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _leave(self) -> None:
        """Handle a disconnect: the call continues in the handshake era, and is cancelled in the stateless era."""
        self._connected = False
        if self._revision is not None and not self._revision.handshake:
            self._peer.cancel_all()

    def _start_watching(self) -> None:
        self._deadlines.stop(self._start_watching)
        if self._watcher is None:
            self._watcher = create_task(self._watch_disconnect())

    def _stop_watching(self) -> None:
        self._deadlines.stop(self._start_watching)
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def _watch_disconnect(self) -> None:
        becomes_stream = monotonic() + _STREAM_AFTER_SECONDS
        while self._connected:
            wait = self._keep_alive_seconds if self._streaming else max(0.0, becomes_stream - monotonic())
            with anyio.move_on_after(wait):
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._leave()
                    return
            if self._peer.session_id is not None:
                await self._server.touch(self._peer.session_id)
            if self._streaming:
                await self._write(KEEP_ALIVE)
            elif not self._accepts_stream:
                becomes_stream = float("inf")
            else:
                await self._start()
