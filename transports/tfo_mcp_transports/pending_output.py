"""Output that waits to be sent: gathered in one turn of the event loop, and watched while the reader is slow.

Used by the writers of descriptors and of network connections. Knows no descriptor, no event-loop transport and no
message.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from time import monotonic

_GATHERED_BYTES = 64 * 1024


class TurnBuffer:
    """Gathers the parts that are written in one turn of the event loop, so that one system call sends them.

    Args:
        loop: the running event loop.
        send: sends the gathered parts, given with their total bytes; called at the end of the turn.
    """

    def __init__(self, loop: AbstractEventLoop, send: Callable[[list[bytes], int], None]) -> None:
        self._loop = loop
        self._send = send
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, part: bytes) -> None:
        """Add a part; large amounts are sent at once, so that the writer learns soon when it is too much."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(part)
        self._bytes += len(part)
        if self._bytes > _GATHERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send the gathered parts now."""
        if self._parts:
            parts, gathered = self._parts, self._bytes
            self._parts, self._bytes = [], 0
            self._send(parts, gathered)

    def clear(self) -> None:
        """Drop the gathered parts."""
        self._parts, self._bytes = [], 0


class ReaderProgress:
    """Tells a slow reader from one that has stopped.

    Args:
        untaken: returns how many bytes of the output the reader has not received yet.
    """

    def __init__(self, untaken: Callable[[], int]) -> None:
        self._untaken = untaken
        self._waiting = 0
        self._since = 0.0

    def begin(self) -> None:
        """Start to measure, with new pending output or after progress."""
        self._waiting, self._since = self._untaken(), monotonic()

    def stalled_seconds(self) -> float:
        """Return for how many seconds the reader has received nothing."""
        untaken, now = self._untaken(), monotonic()
        if untaken < self._waiting:
            self._waiting, self._since = untaken, now
        return now - self._since
