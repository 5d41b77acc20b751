"""The cycle of one request and its response: uvicorn's, with heads of responses that are rendered once.

Most responses have the same few headers, so a checked and rendered header is kept. What is uncommon (HEAD, chunks,
bodies of several parts) is left to uvicorn.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

_CONNECTION, _LENGTH, _ENCODING = b"connection", b"content-length", b"transfer-encoding"
_FRAMING = frozenset({_CONNECTION, _LENGTH, _ENCODING})
_LONGEST_KEPT = 256
_CLOSE = (_CONNECTION, b"close")
_CHUNKED = (_ENCODING, b"chunked")

Header = tuple[bytes, bytes]


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
        lines = [STATUS_LINE[status], _rendered(tuple(self.default_headers))]
        closes = False
        for header in headers:
            lines.append(_kept(header) if len(header[1]) <= _LONGEST_KEPT else _line(header))
            if header[0] in _FRAMING:
                closes |= self._note(*header)
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(_kept(_CLOSE))
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(_kept(_CHUNKED))
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def _note(self, name: bytes, value: bytes) -> bool:
        """Note what a header says about the framing of the response; return whether it ends the connection."""
        if name == _CONNECTION:
            return b"close" in value.lower()
        if name == _LENGTH and self.chunked_encoding is None:
            self.expected_content_length, self.chunked_encoding = int(value), False
        elif (name, value) == _CHUNKED:
            self.expected_content_length, self.chunked_encoding = 0, True
        return False

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


_kept = lru_cache(maxsize=1024)(_line)


@lru_cache(maxsize=4)
def _rendered(headers: tuple[Header, ...]) -> bytes:
    """Return headers as lines; those of all responses change every second, with the date."""
    return b"".join(map(_line, headers))
