"""Peer (a) of the benchmarks: a bare ASGI app on the product's web server.

It reads the body, parses the JSON and answers a `tools/call` result of the shape that an echo has: the least that any
server on uvicorn, uvloop and httptools must do. It knows no sessions, no validation and no other method, so its figure
is the ceiling, not a rival.

Run it as `python bare.py http --port N`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Message = dict[str, Any]
HEADERS = [(b"content-type", b"application/json")]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer one HTTP request."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            break
    request = json.loads(body)
    if "id" not in request:
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result_of(request)}, separators=(",", ":"))
    payload = answer.encode()
    headers = [*HEADERS, (b"content-length", b"%d" % len(payload))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": payload})


def result_of(request: Message) -> Message:
    """The result for `tools/call` of echo, or for `initialize`."""
    if request["method"] == "tools/call":
        text = request["params"]["arguments"]["message"]
        return {"content": [{"type": "text", "text": text}], "isError": False, "resultType": "complete"}
    return {
        "protocolVersion": request["params"].get("protocolVersion"),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "bare", "version": "1.0.0"},
    }


def main() -> None:
    """Serve on the loopback address until a signal comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("transport", choices=["http"])
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
