"""Reads HTTP/1.1 answers from bytes, without I/O: one whole answer at a time, as a keep-alive connection brings them.

It knows what servers send here (a Content-Length or chunks) and nothing of JSON-RPC, except that a body may be a stream
of server-sent events that carry messages.
"""

from __future__ import annotations

from bench.errors import BenchError

NO_CONTENT = 204
CHUNKS_END = b"\r\n0\r\n\r\n"


class AnswerReader:
    """Collects the bytes of one answer after the other."""

    __slots__ = ("_buffer", "_has_body", "_needed", "_start")

    def __init__(self, status: int = 200) -> None:
        self._start = b"HTTP/1.1 %d" % status
        self._has_body = status != NO_CONTENT
        self._buffer = b""
        self._needed = 0

    def feed(self, data: bytes) -> bytes | None:
        """Take what arrived; return the body once the answer is whole.

        Raises:
            BenchError: the status is not the expected one, or the server sent more than one answer.
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
        if not buffer.startswith(self._start):
            raise BenchError(f"not a {self._start[-3:].decode()}: {buffer[:300]!r}")
        head = buffer[: head_end + 2].lower()
        start = head_end + 4
        if not self._has_body:
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
    """The body of a chunked answer, or None while its last chunk has not come."""
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
