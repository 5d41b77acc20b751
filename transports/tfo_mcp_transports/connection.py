"""Connection: one client that exchanges all of its messages over one channel.

Shared by stdio, the Unix socket, WebSocket and HTTP+SSE: each frame is served in its own task, everything for the
client is sent on the same channel, and the session ends with the connection. Owns the backpressure of the channel and
its orderly end. Knows no framing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial

import anyio

from tfo_mcp.presentation.jsonrpc import Batch, Malformed, Message
from tfo_mcp.presentation.peer import Peer
from tfo_mcp.presentation.protocol.call import Facts, Outlet
from tfo_mcp.presentation.protocol.faults import Fault, draining, fault_of
from tfo_mcp.presentation.protocol.revisions import Revision
from tfo_mcp.presentation.server import Server
from tfo_mcp_transports.loop_turns import loop_turns

_LAST_WORDS_SECONDS = 0.5  # for the responses of cancelled calls
_TAKEN_BYTES = 4 * 1024 * 1024  # maximum size of the requests in flight before reading waits
_MESSAGE_BYTES = 8 * 1024  # measured: memory of a message that waits, with its task and its call
_TAKEN_AT_ONCE = 16  # maximum number of frames accepted in one iteration of the event loop


class Ending(Enum):
    """Why the server ends a connection."""

    SHUTDOWN = "the client ended its session"
    STOPPING = "the server is shutting down"
    REVOKED = "the key or token is no longer valid"


class Connection(Outlet):
    """The outlet of everything that the server sends to one client.

    Args:
        server: serves the frames.
        facts: the caller, the transport and the address of the client.
        send: sends one frame, and waits while the channel is full; raises OSError when the client has disconnected.
        close: called to request that the transport end the connection.
    """

    def __init__(
        self,
        server: Server,
        facts: Facts,
        send: Callable[[bytes], Awaitable[None]],
        close: Callable[[Ending], None],
    ) -> None:
        self._server = server
        self._facts = facts
        self._send = send
        self._close = close
        self._peer: Peer | None = None
        self._loop: asyncio.AbstractEventLoop
        self._account = facts.account
        self._request_bytes = server.request_bytes
        self._calls: dict[asyncio.Task[None], int] = {}
        self._taken = 0
        self._unstarted = 0
        self._ending: asyncio.Task[None] | None = None
        self._stopping = False
        self.has_left = False
        """Whether the client has disconnected, so that no more frames are to be read."""
        self._unsent = 0
        self._sending = False
        self._eased: anyio.Event | None = None

    @asynccontextmanager
    async def serving(self, grace_seconds: float = 0.0) -> AsyncIterator[None]:
        """Serve the frames given to `take` until the context is left; then drain calls for `grace_seconds`."""
        self._loop = loop = asyncio.get_running_loop()
        async with self._server.attached(
            on_closed=partial(self._end_soon, Ending.SHUTDOWN),
            on_stopping=partial(loop.call_soon_threadsafe, self._end_soon, Ending.STOPPING),
        ) as self._peer:
            announcements = await self._peer.announcements(self, self._facts)
            try:
                with self._server.registered(self._facts.caller, partial(self._end_soon, Ending.REVOKED)):
                    yield
                await self._settle(grace_seconds)
            finally:
                announcements.close()
                if self._ending is not None:
                    self._ending.cancel()
        await self._settle(_LAST_WORDS_SECONDS)

    async def parse(self, frame: bytes) -> Message | Batch:
        """Return the parsed message of a frame, for a transport that inspects it before it is served."""
        assert self._peer is not None
        return await self._peer.parse(frame)

    def take(self, frame: bytes, message: Message | Batch | None = None) -> None:
        """Serve a frame in its own task; answer with a fault when the client has too many bytes in flight.

        Args:
            frame: the encoded message.
            message: the result of `parse` for this frame, if the transport has parsed it already.
        """
        assert self._peer is not None
        budget, size = self._request_bytes, len(frame) + _MESSAGE_BYTES
        refusal = None
        if not budget.fits(self._account, size):
            refusal, size = fault_of(budget.exceeded()), _MESSAGE_BYTES
        budget.add(self._account, size)
        self._taken += size
        self._unstarted += 1
        task = self._loop.create_task(self._receive(self._peer, frame, message, refusal))
        self._calls[task] = size
        task.add_done_callback(self._served)

    async def _receive(self, peer: Peer, frame: bytes, message: Message | Batch | None, refusal: Fault | None) -> None:
        self._unstarted -= 1
        if refusal is not None:
            await peer.refuse(frame, self, self._facts, refusal)
        elif message is None:
            await peer.receive(frame, self, self._facts)
        else:
            await peer.serve(message, frame, self, self._facts)

    async def refusal(self, malformed: Malformed) -> bytes:
        """Return the error response to a malformed message, for a transport that sends it outside of the channel."""
        assert self._peer is not None
        return (await self._peer.refusal(malformed, self._facts))[1]

    @property
    def is_full(self) -> bool:
        """Whether `room` would wait."""
        if self.has_left:
            return False
        return self._unsent > 0 or self._taken > _TAKEN_BYTES or self._unstarted >= _TAKEN_AT_ONCE

    async def room(self) -> None:
        """Backpressure: wait until all output is flushed and the requests in flight are below the limits.

        A client that sends many small frames waits for later iterations of the event loop, so that other clients are
        served in between.
        """
        while self.is_full:
            if self._unstarted >= _TAKEN_AT_ONCE:
                await loop_turns().wait(self._facts.account)
            else:
                await self._ease()

    def leave(self) -> None:
        """Record that the client has disconnected, and end every wait for room."""
        self.has_left = True
        self._say_eased()

    async def drained(self) -> None:
        """Wait until all pending output is flushed."""
        while self._unsent:
            await self._ease()

    def begin(self, revision: Revision) -> None:
        """Accept a request: its response uses the shared channel.

        Raises:
            Refusal: the server is shutting down.
        """
        if self._stopping:
            raise draining(revision)

    async def notify(self, frame: bytes) -> None:
        """Send a notification."""
        await self._forward(frame)

    async def request(self, frame: bytes) -> None:
        """Send a request from the server to the client."""
        await self._forward(frame)

    async def reply(self, frame: bytes, fault: Fault | None, revision: Revision) -> None:
        """Send a response."""
        await self._forward(frame)

    async def _forward(self, frame: bytes) -> None:
        """Send a frame after the ones before it; a waiting frame is held here only, so that it is not copied."""
        self._unsent += 1
        try:
            while self._sending:
                await self._ease()
            self._sending = True
            try:
                await self._send(frame)
            except OSError:
                pass  # the client has disconnected; the transport notices that by itself
            finally:
                self._sending = False
        finally:
            self._unsent -= 1
            self._say_eased()

    async def _ease(self) -> None:
        self._eased = self._eased or anyio.Event()
        await self._eased.wait()

    def _say_eased(self) -> None:
        if self._eased is not None:
            self._eased.set()
            self._eased = None

    def _served(self, task: asyncio.Task[None]) -> None:
        size = self._calls.pop(task)
        self._taken -= size
        self._request_bytes.give_back(self._account, size)
        self._say_eased()

    def _end_soon(self, ending: Ending) -> None:
        self._stopping = self._stopping or ending is Ending.STOPPING
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(ending))

    async def _end(self, ending: Ending) -> None:
        """Ask the transport to close the connection once no request is in flight; the server bounds that time.

        After a revocation the server has cancelled the calls, so their errors get a short, bounded time to be sent.
        """
        if ending is Ending.REVOKED:
            await self._settle(_LAST_WORDS_SECONDS)
        else:
            while self._calls:
                await asyncio.wait(self._calls)
        self._close(ending)

    async def _settle(self, seconds: float) -> None:
        if self._calls and seconds:
            await asyncio.wait(self._calls, timeout=seconds)
