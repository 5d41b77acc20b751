"""Plain HTTP answers outside of JSON-RPC: a status and a line that says what to change."""

from collections.abc import Iterable

from starlette.types import Message, Send

LARGE_BYTES = 64 * 1024
"""Parts of bodies above this size are waited for until the client has taken most of them."""
Headers = Iterable[tuple[bytes, bytes]]


async def answer(send: Send, status: int, body: bytes, content_type: bytes, headers: Headers = ()) -> None:
    """Send a complete answer; a large one returns only when the client has taken most of it."""
    fields = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    if len(body) > LARGE_BYTES:
        await send_part(send, body)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def send_part(send: Send, part: bytes) -> None:
    """Send a part of a body; a large one returns only when the client has taken most of it."""
    await send({"type": "http.response.body", "body": part, "more_body": True})
    if len(part) > LARGE_BYTES:  # sending again waits until what was sent before has been taken
        await send({"type": "http.response.body", "body": b"", "more_body": True})


async def empty(send: Send, status: int, headers: Headers = ()) -> None:
    """Send an answer without a body."""
    fields = [*headers] if status == 204 else [(b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b""})


async def refuse(send: Send, status: int, reason: str, headers: Headers = ()) -> None:
    """Send an error as plain text."""
    await answer(send, status, reason.encode() + b"\n", b"text/plain; charset=utf-8", headers)


def upgrade_refusal(send: Send) -> Send:
    """Return what sends an HTTP answer instead of accepting a WebSocket (ASGI, WebSocket Denial Response)."""

    async def deny(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return deny
