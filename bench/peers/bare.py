"""Peer (a) of the benchmarks: bare ASGI apps on the product's web server, one for each transport.

They read a message, parse the JSON and return the result of an echo call: the minimum work of any server on uvicorn,
uvloop and httptools. They have no sessions, no validation and hardly any other method, so their figures are an upper
bound and not a competitor.

Run it as `python bare.py http|websocket|sse --port N`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[..., Awaitable[None]]

JSON = [(b"content-type", b"application/json")]
STREAM = [(b"content-type", b"text/event-stream")]


async def http_app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer one HTTP request."""
    if scope["type"] != "http":
        return
    answer = answer_to(await body_of(receive))
    if answer is None:
        await send_answer(send, 202, [], b"")
    else:
        await send_answer(send, 200, JSON, answer)


async def websocket_app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer the text frames of one WebSocket connection."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "mcp"})
    while (message := await receive())["type"] == "websocket.receive":
        answer = answer_to(message["text"])
        if answer is not None:
            await send({"type": "websocket.send", "text": answer.decode()})


class EventStreams:
    """Event streams on GET; a POST is answered on the stream that its query names."""

    def __init__(self) -> None:
        self._streams: dict[bytes, Send] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await self._stream(receive, send)
            return
        answer = answer_to(await body_of(receive))
        await send_answer(send, 202, [], b"Accepted")
        if answer is not None:
            await send_event(self._streams[scope["query_string"]], b"message", answer)

    async def _stream(self, receive: Receive, send: Send) -> None:
        name = b"%d" % id(send)
        self._streams[name] = send
        await send({"type": "http.response.start", "status": 200, "headers": STREAM})
        await send_event(send, b"endpoint", b"/messages?" + name)
        await body_of(receive)
        await receive()  # returns when the client has disconnected
        del self._streams[name]


async def body_of(receive: Receive) -> bytes:
    """The body of a request."""
    body: bytes = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            return body


async def send_answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a complete HTTP response."""
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_event(send: Send, event: bytes, data: bytes) -> None:
    """Send one event on a stream."""
    body = b"event: %b\ndata: %b\n\n" % (event, data)
    await send({"type": "http.response.body", "body": body, "more_body": True})


def answer_to(frame: bytes | str) -> bytes | None:
    """The answer to a message; None for a notification."""
    request = json.loads(frame)
    if "id" not in request:
        return None
    answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result_of(request)}, separators=(",", ":"))
    return answer.encode()


def result_of(request: Message) -> Message:
    """The result for `tools/call` of echo, for `initialize`, or for `ping`."""
    if request["method"] == "tools/call":
        text = request["params"]["arguments"]["message"]
        return {"content": [{"type": "text", "text": text}], "isError": False, "resultType": "complete"}
    if request["method"] == "ping":
        return {}
    return {
        "protocolVersion": request["params"].get("protocolVersion"),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "bare", "version": "1.0.0"},
    }


APPS: dict[str, App] = {"http": http_app, "websocket": websocket_app, "sse": EventStreams()}


def main() -> None:
    """Serve on the loopback address until a signal arrives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("transport", choices=APPS)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(
        APPS[options.transport],
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
