"""HTTP responses outside of JSON-RPC: a status, headers and a body, sent with backpressure."""

from collections.abc import Iterable

from starlette.types import Message, Send

LARGE_BYTES = 64 * 1024
"""After a part of a body above this size, sending waits until the client has received most of it."""
Headers = Iterable[tuple[bytes, bytes]]


async def answer(send: Send, status: int, body: bytes, content_type: bytes, headers: Headers = ()) -> None:
    """Send a complete response; with a large body, return only when the client has received most of it."""
    fields = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    if len(body) > LARGE_BYTES:
        await send_part(send, body)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def send_part(send: Send, part: bytes) -> None:
    """Send a part of a body; after a large one, return only when the client has received most of it."""
    await send({"type": "http.response.body", "body": part, "more_body": True})
    if len(part) > LARGE_BYTES:  # the next send waits until the buffer of the previous one has drained
        await send({"type": "http.response.body", "body": b"", "more_body": True})


async def empty(send: Send, status: int, headers: Headers = ()) -> None:
    """Send a response without a body."""
    fields = [*headers] if status == 204 else [(b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b""})


async def refuse(send: Send, status: int, reason: str, headers: Headers = ()) -> None:
    """Send an error response whose body is one line of plain text, which says what to change."""
    await answer(send, status, reason.encode() + b"\n", b"text/plain; charset=utf-8", headers)


def upgrade_refusal(send: Send) -> Send:
    """Return a `send` that answers a WebSocket handshake with an HTTP response (ASGI, WebSocket Denial Response)."""

    async def deny(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return deny
