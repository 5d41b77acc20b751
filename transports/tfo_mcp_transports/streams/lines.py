"""Newline framing: splits chunks of bytes into lines; a line above the limit is reported once and skipped.

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
        """Add bytes and yield every line that they complete; the caller must exhaust the iterator."""
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
        """Yield the pending line at the end of a line or of the stream; a last line needs no newline."""
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
