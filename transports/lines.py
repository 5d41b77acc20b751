"""Newline framing: chunks of bytes in, lines out; a line that is too long is reported once and skipped.

Sans-I/O, so that every byte-stream transport can use it.
"""

from collections.abc import Callable


class LineSplitter:
    """Cuts a byte stream into lines of at most `limit` bytes."""

    def __init__(self, limit: int, on_line: Callable[[bytes], None], on_too_long: Callable[[], None]) -> None:
        self._limit = limit
        self._on_line = on_line
        self._on_too_long = on_too_long
        self._pending = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; every line that they complete is handed on."""
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            self._take(part)
            self._complete()
        self._take(rest)

    def finish(self) -> None:
        """Take the end of the stream: what has no newline is a line too."""
        if self._pending:
            self._complete()

    def _take(self, part: bytes) -> None:
        if self._skipping:
            return
        self._pending += part
        if len(self._pending) > self._limit:
            self._pending.clear()
            self._skipping = True
            self._on_too_long()

    def _complete(self) -> None:
        if not self._skipping and self._pending.strip():
            self._on_line(bytes(self._pending))
        self._pending.clear()
        self._skipping = False
