"""Request bodies: read whole, up to a limit. How long they may take is the connection's affair."""

from starlette.types import Receive


class BodyTooLarge(Exception):
    """The body has more bytes than the limit allows."""


class ClientLeft(Exception):
    """The connection ended before the body did: there is nobody to answer."""


async def read_body(length: bytes | None, limit: int, receive: Receive) -> bytes:
    """Return a body of at most `limit` bytes; `length` is the Content-Length header.

    Raises:
        BodyTooLarge: it is larger.
        ClientLeft: the client has left.
    """
    if length is not None and length.isdigit() and int(length) > limit:
        raise BodyTooLarge
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge
        if not message.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)
