"""Connection: one client whose messages all share one channel, for as long as the connection stands.

What stdio, the Unix socket, WebSocket and HTTP+SSE have in common: each frame is served in a task of its own, answers
and everything else leave by the same channel, and the end of the connection ends its session. Knows no framing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial

import anyio

from app.presentation.peer import Peer
from app.presentation.protocol.call import Facts
from app.presentation.protocol.faults import Kind
from app.presentation.protocol.revisions import Revision
from app.presentation.server import Server

_LAST_WORDS_SECONDS = 0.5  # for calls that were cancelled


class Ending(Enum):
    """Why the server ends a connection."""

    SHUTDOWN = "the client ended its session"
    STOPPING = "the server is shutting down"


class Connection:
    """The outlet of everything that is for one client.

    Args:
        server: what serves the frames.
        facts: where they come from.
        send: takes one frame for the client, and waits while the channel is full; OSError when the client has left.
        close: called when the connection is to end soon.
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
        self._calls: set[asyncio.Task[None]] = set()
        self._stopping: asyncio.Task[None] | None = None
        self._unsent = 0
        self._sent: anyio.Event | None = None

    @asynccontextmanager
    async def serving(self, grace_seconds: float = 0.0) -> AsyncIterator[None]:
        """Serve what `take` is given, until the context is left; then calls get some time before they are cancelled."""
        loop = asyncio.get_running_loop()
        async with self._server.attached(
            on_closed=lambda: self._close(Ending.SHUTDOWN),
            on_stopping=partial(loop.call_soon_threadsafe, self._stop_soon),
        ) as self._peer:
            announcements = await self._peer.announcements(self)
            try:
                yield
                await self._settle(grace_seconds)
            finally:
                announcements.close()
                if self._stopping is not None:
                    self._stopping.cancel()
        await self._settle(_LAST_WORDS_SECONDS)

    def take(self, frame: bytes) -> None:
        """Serve a frame, beside those that are being served."""
        assert self._peer is not None
        task = asyncio.create_task(self._peer.receive(frame, self, self._facts))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def room(self) -> None:
        """Wait while the client does not take what is there for it: until then it is to be asked for nothing more."""
        while self._unsent:
            self._sent = self._sent or anyio.Event()
            await self._sent.wait()

    def begin(self, revision: Revision) -> None:
        """All requests share the channel."""

    async def hold(self) -> None:
        """The channel lasts as long as the connection."""

    async def notify(self, frame: bytes) -> None:
        """Send a notification."""
        await self._forward(frame)

    async def request(self, frame: bytes) -> None:
        """Send a request of the server's."""
        await self._forward(frame)

    async def release(self, retry_ms: int) -> None:
        """There is only one channel, and nothing to come back to."""

    async def reply(self, frame: bytes, kind: Kind | None, revision: Revision) -> None:
        """Send an answer."""
        await self._forward(frame)

    async def nothing(self) -> None:
        """A message without an answer leaves no trace."""

    async def _forward(self, frame: bytes) -> None:
        self._unsent += 1
        try:
            await self._send(frame)
        except OSError:
            pass  # the client has left; the transport will say so
        finally:
            self._unsent -= 1
            if not self._unsent and self._sent is not None:
                self._sent.set()
                self._sent = None

    def _stop_soon(self) -> None:
        self._stopping = asyncio.create_task(self._stop())

    async def _stop(self) -> None:
        """End the connection as soon as nothing is being served; the server sees to it that this is soon."""
        while self._calls:
            await asyncio.wait(self._calls)
        self._close(Ending.STOPPING)

    async def _settle(self, seconds: float) -> None:
        if self._calls and seconds:
            await asyncio.wait(self._calls, timeout=seconds)
