"""Complete error responses that the protocol sends without the application; each closes the connection."""

_CLOSE = b"connection: close\r\n"


def _response(status: bytes, reason: bytes = b"", headers: bytes = b"") -> bytes:
    kind = b"content-type: text/plain; charset=utf-8\r\n" if reason else b""
    length = b"content-length: %d\r\n\r\n" % len(reason)
    return b"".join((b"HTTP/1.1 ", status, b"\r\n", _CLOSE, headers, kind, length, reason))


BAD_REQUEST = _response(b"400 Bad Request")
MALFORMED = _response(b"400 Bad Request", b"Invalid HTTP request received.")
OVERHEAD = _response(b"400 Bad Request", b"Too many bytes of this request are not part of its body\n")
TOO_SLOW = _response(b"408 Request Timeout")
LONG_TARGET = _response(b"414 URI Too Long")
TOO_LARGE = _response(b"431 Request Header Fields Too Large")
TOO_MANY = _response(
    b"503 Service Unavailable",
    b"Too many connections are open (setting server.max_connections)\n",
    b"retry-after: 5\r\n",
)
TOO_MUCH = _response(
    b"503 Service Unavailable", b"Too much is being received from your network\n", b"retry-after: 5\r\n"
)
