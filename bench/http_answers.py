"""An incremental parser of the HTTP/1.1 responses on a keep-alive connection, without I/O.

It supports what the measured servers send (Content-Length or chunks). It knows nothing of JSON-RPC, except that a body
can be a stream of server-sent events that carry messages.
"""

from __future__ import annotations

from bench.errors import BenchError

NO_CONTENT = b"http/1.1 204"
CHUNKS_END = b"\r\n0\r\n\r\n"


class AnswerReader:
    """Collects the bytes of one response after the other, which must have one of these statuses."""

    __slots__ = ("_buffer", "_needed", "_starts", "head")

    def __init__(self, *statuses: int) -> None:
        self._starts = tuple(b"HTTP/1.1 %d" % status for status in statuses or (200,))
        self._buffer = b""
        self._needed = 0
        self.head = b""
        """The status line and the headers of the latest response."""

    def feed(self, data: bytes) -> bytes | None:
        """Add received bytes; return the body once the response is complete, else None.

        Raises:
            BenchError: the status is not the expected one, or the server has sent more than one response.
        """
        buffer = self._buffer + data if self._buffer else data
        if len(buffer) < self._needed:
            self._buffer = buffer
            return None
        body = self._body(buffer)
        if body is None:
            self._buffer = buffer
            return None
        self._buffer = b""
        self._needed = 0
        return body

    def _body(self, buffer: bytes) -> bytes | None:
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        if not buffer.startswith(self._starts):
            raise BenchError(f"not a {self._starts[0][-3:].decode()}: {buffer[:300]!r}")
        self.head = buffer[: head_end + 2]
        head = self.head.lower()
        start = head_end + 4
        if head.startswith(NO_CONTENT):
            return b""
        at = head.find(b"\r\ncontent-length:")
        if at < 0:
            return _unchunk(buffer, start)
        end = start + int(head[at + 17 : head.index(b"\r", at + 17)])
        if len(buffer) < end:
            self._needed = end
            return None
        if len(buffer) > end:
            raise BenchError(f"more than one answer: {buffer[end:][:300]!r}")
        return buffer[start:end]


def _unchunk(buffer: bytes, start: int) -> bytes | None:
    """The body of a chunked response, or None before its last chunk."""
    if not buffer.endswith(CHUNKS_END):
        return None
    parts: list[bytes] = []
    while True:
        line_end = buffer.index(b"\r\n", start)
        size = int(buffer[start:line_end], 16)
        if size == 0:
            return b"".join(parts)
        start = line_end + 2
        parts.append(buffer[start : start + size])
        start += size + 2


def events(body: bytes) -> list[bytes]:
    """The data of each server-sent event in a body; comments and events without data are left out."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    data = (line[5:].strip() for line in lines if line.startswith(b"data:"))
    return [item for item in data if item]
