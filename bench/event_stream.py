"""An incremental parser of an event stream (text/event-stream in chunks), without I/O."""

from __future__ import annotations

from typing import NamedTuple

from bench.errors import BenchError
from bench.http_answers import events


class Chunk(NamedTuple):
    """One chunk of a body, and where the next one begins in the bytes that it was read from."""

    body: bytes
    end: int


def read_chunk(data: bytes, start: int = 0) -> Chunk | None:
    """The chunk that begins at `start`, or None while it is incomplete."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    begin = line_end + 2
    end = begin + int(data[start:line_end], 16)
    return Chunk(data[begin:end], end + 2) if len(data) >= end + 2 else None


class EventStreamReader:
    """Collects the bytes of one event stream response, and returns the data of each event."""

    def __init__(self) -> None:
        self._in_head = True
        self._buffer = b""
        self._events = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; return the data of the events that they complete.

        Raises:
            BenchError: the response is not an event stream.
        """
        self._buffer += data
        if self._in_head and not self._take_head():
            return []
        start = 0
        while (chunk := read_chunk(self._buffer, start)) is not None:
            start = chunk.end
            self._events += chunk.body.replace(b"\r\n", b"\n")
        self._buffer = self._buffer[start:]
        whole, _, self._events = self._events.rpartition(b"\n\n")
        return events(whole)

    def _take_head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200") or b"text/event-stream" not in head:
            raise BenchError(f"no event stream: {head[:300]!r}")
        self._buffer = rest
        self._in_head = False
        return True
