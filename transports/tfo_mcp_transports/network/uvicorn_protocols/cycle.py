"""The cycle of one request and its response: uvicorn's, with heads of responses that are rendered once.

Most responses have the same few headers, so checked and rendered heads are kept. What is uncommon (HEAD, chunks,
bodies of several parts) is left to uvicorn.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

_CONNECTION, _LENGTH, _ENCODING = b"connection", b"content-length", b"transfer-encoding"
_LONGEST_KEPT = 256  # bytes of a value
_FIELDS_KEPT = 8
_CLOSE = (_CONNECTION, b"close")
_CHUNKED = (_ENCODING, b"chunked")

Header = tuple[bytes, bytes]


class ResponseHead(NamedTuple):
    """The headers of a response as lines, and its framing: the length, whether it is chunked (None: not said)."""

    lines: bytes
    length: int
    is_chunked: bool | None
    closes: bool


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, faster for a response that is sent at once."""

    async def send(self, message: Any) -> None:
        """Send a part of the response (ASGI).

        Raises:
            RuntimeError: the application breaks the protocol.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started and message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        elif self._is_whole(message):
            self._finish(message["body"])
        else:
            await super().send(message)

    def _start(self, status: int, headers: Iterable[Header]) -> None:
        """Write the head of the response."""
        self.response_started = True
        self.waiting_for_100_continue = False
        fields = tuple(headers)
        is_small = len(fields) <= _FIELDS_KEPT and all(len(value) <= _LONGEST_KEPT for _, value in fields)
        head = _kept_head(fields) if is_small else _head(fields)
        lines = [STATUS_LINE[status], _rendered(tuple(self.default_headers)), head.lines]
        self.expected_content_length, self.chunked_encoding = head.length, head.is_chunked
        if head.closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(_line(_CLOSE))
        if head.is_chunked is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(_line(_CHUNKED))
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def _is_whole(self, message: Any) -> bool:
        """Return whether a message is all that the announced length still expects."""
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and self.chunked_encoding is False
            and not self.response_complete
            and self.scope["method"] != "HEAD"
            and len(message.get("body", b"")) == self.expected_content_length
        )

    def _finish(self, body: bytes) -> None:
        """Write the rest of the response, and end the cycle."""
        self.transport.write(body)
        self.expected_content_length = 0
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _line(header: Header) -> bytes:
    """Return a header as a line.

    Raises:
        RuntimeError: it contains characters that HTTP does not allow.
    """
    name, value = header
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError("Invalid HTTP header")
    return b"%b: %b\r\n" % (name.lower(), value)


def _head(fields: tuple[Header, ...]) -> ResponseHead:
    """Return the rendered headers of a response, and what they say about its framing.

    Raises:
        RuntimeError: a header contains characters that HTTP does not allow.
    """
    length, is_chunked, closes = 0, None, False
    for name, value in fields:
        if name == _CONNECTION:
            closes = closes or b"close" in value.lower()
        elif name == _LENGTH and is_chunked is None:
            length, is_chunked = int(value), False
        elif (name, value) == _CHUNKED:
            length, is_chunked = 0, True
    return ResponseHead(b"".join(map(_line, fields)), length, is_chunked, closes)


_kept_head = lru_cache(maxsize=1024)(_head)


@lru_cache(maxsize=4)
def _rendered(headers: tuple[Header, ...]) -> bytes:
    """Return headers as lines; those of all responses change every second, with the date."""
    return b"".join(map(_line, headers))
