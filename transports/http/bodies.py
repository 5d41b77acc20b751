"""Bodies of POSTs: JSON as it is, read whole, up to a limit. How long they may take is the connection's affair."""

from collections.abc import Mapping

from starlette.types import Receive, Send

from transports.answers import refuse

_JSON = b"application/json"


class _TooLarge(Exception):
    """The body has more bytes than the limit allows."""


class _ClientLeft(Exception):
    """The connection ended before the body did: there is nobody to answer."""


async def receive_json(headers: Mapping[bytes, bytes], limit: int, receive: Receive, send: Send) -> bytes | None:
    """Return the body of a POST; when it cannot be used, say so to the client and return None."""
    if not _is_json(headers.get(b"content-type")):
        await refuse(send, 415, "Send Content-Type: application/json (charset utf-8)")
        return None
    if headers.get(b"content-encoding", b"identity") != b"identity":
        await refuse(send, 415, "Send the body without Content-Encoding", [(b"accept-encoding", b"identity")])
        return None
    try:
        return await _read(headers.get(b"content-length"), limit, receive)
    except _TooLarge:
        await refuse(send, 413, f"The body is larger than {limit} bytes (setting server.max_body_bytes)")
    except _ClientLeft:
        pass
    return None


async def _read(length: bytes | None, limit: int, receive: Receive) -> bytes:
    if length is not None and length.isdigit() and int(length) > limit:
        raise _TooLarge
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientLeft
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _TooLarge
        if not message.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _is_json(content_type: bytes | None) -> bool:
    if content_type == _JSON:
        return True
    kind, _, parameters = (content_type or b"").lower().partition(b";")
    return kind.strip() == _JSON and parameters.strip().replace(b'"', b"").replace(b" ", b"") in (b"", b"charset=utf-8")
