"""SharedListener: accepts connections of a socket on which several workers listen, each about as many.

Each worker is woken for a connection. One with more connections than another waits for a moment before it accepts, so
that the other takes it, unless that is busy. Knows no protocol.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

_YIELD_SECONDS = 0.002
_RETRY_SECONDS = 0.5  # without free descriptors
_log = structlog.get_logger("tfo_mcp.network")


class SharedListener:
    """Accepts connections from `start` to `stop`.

    Args:
        listener: the socket, in non-blocking mode.
        serve: serves a connection.
        open_connections: returns the number of this worker's connections.
        has_more: takes this number and returns whether another worker has fewer.
    """

    def __init__(
        self,
        listener: socket.socket,
        serve: Callable[[socket.socket], Coroutine[Any, Any, None]],
        open_connections: Callable[[], int],
        has_more: Callable[[int], bool],
    ) -> None:
        self._listener = listener
        self._serve = serve
        self._open_connections = open_connections
        self._has_more = has_more
        self._starting = set[asyncio.Task[None]]()
        self._has_yielded = False
        self._resuming: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to accept."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """Accept no more; a no-op if it does not accept."""
        if self._resuming is not None:
            self._resuming.cancel()
        self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        if not self._has_yielded and self._has_more(self._open_connections() + len(self._starting)):
            self._has_yielded = True
            self._pause(_YIELD_SECONDS)
            return
        self._has_yielded = False
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker was faster, or the client has left
        except OSError as problem:
            _log.error("no connection can be accepted", reason=problem.strerror)
            self._pause(_RETRY_SECONDS)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._begin(connection))
        self._starting.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._starting.discard)

    async def _begin(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has left
            await self._serve(connection)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._resuming = self._loop.call_later(seconds, self.start)
