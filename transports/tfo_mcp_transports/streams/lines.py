"""Newline framing: splits chunks of bytes into lines; a line above the limit is reported once and skipped.

Sans-I/O, so that every byte-stream transport can use it.
"""

from collections.abc import Callable, Iterator

Refuse = Callable[[bytes, bytes | None], bool]
"""Refuses a line that is too long, of which it gets the first and the last `ENDS_BYTES`.

The last ones are None until the end of the line has been read. Returns whether it has refused the line; it is called
again at the end otherwise.
"""

ENDS_BYTES = 4096


class LineSplitter:
    """Cuts a byte stream into lines of at most `limit` bytes."""

    def __init__(self, limit: int, refuse: Refuse) -> None:
        self._limit = limit
        self._refuse = refuse
        self._pending = bytearray()
        self._beginning: bytes | None = None  # of the line that is skipped
        self._is_refused = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Add bytes and yield every line that they complete; the caller must exhaust the iterator."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            if self._pending or self._beginning is not None or end - start > self._limit:
                self._take(chunk[start:end])
                yield from self.finish()
            elif (line := chunk[start:end]).strip():
                yield line
            start = end + 1
        self._take(chunk[start:])

    def finish(self) -> Iterator[bytes]:
        """Yield the pending line at the end of a line or of the stream; a last line needs no newline."""
        line, beginning = bytes(self._pending), self._beginning
        self._pending.clear()
        self._beginning = None
        if beginning is not None:
            if not self._is_refused:
                self._refuse(beginning, line)
        elif line.strip():
            yield line

    def _take(self, part: bytes) -> None:
        self._pending += part
        if self._beginning is None and len(self._pending) > self._limit:
            self._beginning = bytes(self._pending[:ENDS_BYTES])
            self._is_refused = self._refuse(self._beginning, None)
        if self._beginning is not None:
            del self._pending[:-ENDS_BYTES]
