"""Newline framing: chunks of bytes in, lines out; a line that is too long is reported once and skipped.

Sans-I/O, so that every byte-stream transport can use it.
"""

from collections.abc import Callable, Iterator


class LineSplitter:
    """Cuts a byte stream into lines of at most `limit` bytes."""

    def __init__(self, limit: int, on_too_long: Callable[[], None]) -> None:
        self._limit = limit
        self._on_too_long = on_too_long
        self._pending = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes and yield every line that they complete; all of them have to be taken."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            if self._pending or self._skipping or end - start > self._limit:
                self._take(chunk[start:end])
                yield from self.finish()
            elif (line := chunk[start:end]).strip():
                yield line
            start = end + 1
        self._take(chunk[start:])

    def finish(self) -> Iterator[bytes]:
        """Take the end of a line, or of the stream: what has no newline is a line too."""
        line = b"" if self._skipping else bytes(self._pending)
        self._pending.clear()
        self._skipping = False
        if line.strip():
            yield line

    def _take(self, part: bytes) -> None:
        if self._skipping:
            return
        self._pending += part
        if len(self._pending) > self._limit:
            self._pending.clear()
            self._skipping = True
            self._on_too_long()
