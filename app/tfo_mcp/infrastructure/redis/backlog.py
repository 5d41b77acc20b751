"""Backlog: frames of streams that wait in this process until Redis is back, in order.

Bounded: beyond 64 MiB the oldest are dropped. Knows no Redis.
"""

from collections import Counter, deque
from typing import NamedTuple

import anyio

from tfo_mcp.application.ports import StreamId
from tfo_mcp.domain.errors import StateUnavailable

_MOST_BYTES = 64 * 1024 * 1024
_OVERHEAD = 256  # bytes of memory per entry in addition to the frame


class Waiting(NamedTuple):
    """A frame of a stream, and the token by which it is appended once; None marks the stream as complete."""

    stream: StreamId
    frame: bytes | None
    token: str = ""


class Backlog:
    """Frames and marks in order."""

    def __init__(self) -> None:
        self._entries: deque[Waiting] = deque()
        self._of_stream: Counter[StreamId] = Counter()
        self._size = 0
        self._arrived = anyio.Event()

    def check(self, stream: StreamId) -> None:
        """Check that nothing of a stream waits, so that a new frame may be sent before the others.

        Raises:
            StateUnavailable: earlier frames wait.
        """
        if stream in self._of_stream:
            raise StateUnavailable

    def add(self, waiting: Waiting) -> None:
        """Add an entry at the end."""
        self._entries.append(waiting)
        self._of_stream[waiting.stream] += 1
        self._size += _size(waiting)
        while self._size > _MOST_BYTES and len(self._entries) > 1:
            self.remove_first()
        self._arrived.set()

    async def first(self) -> Waiting:
        """Return the oldest entry; waits for one."""
        while not self._entries:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return self._entries[0]

    def remove_first(self) -> None:
        """Remove the oldest entry; a no-op without any."""
        if self._entries:
            waiting = self._entries.popleft()
            self._size -= _size(waiting)
            self._of_stream[waiting.stream] -= 1
            if not self._of_stream[waiting.stream]:
                del self._of_stream[waiting.stream]


def _size(waiting: Waiting) -> int:
    return _OVERHEAD + len(waiting.frame or b"")
