"""Attacks on HTTP itself: heads, bodies, chunks, trailers, pipelines, connections and streams."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat

from bench.load.hostile import payloads
from bench.load.hostile.player import WAIT, paced, play
from bench.load.hostile.target import CONNECT_SECONDS, Target

BLOCK = 1 << 16
BODY_BYTES = 4 * 1024 * 1024
BODIES = 200
CHUNKED = payloads.head("POST", headers={**payloads.USUAL, "Transfer-Encoding": "chunked"})
CONNECTIONS = 1_000
PIPELINED = 200


def http_connection(target: Target) -> http.client.HTTPConnection:
    """Return an HTTP connection from the hostile address, which its first request opens."""
    return http.client.HTTPConnection(
        "127.0.0.1", target.port, timeout=CONNECT_SECONDS, source_address=(target.address, 0)
    )


def open_session(target: Target, revision: str | None = None) -> str:
    """Open a session of the handshake era, from the hostile address, and return its id.

    Raises:
        http.client.HTTPException, OSError: the server refuses it.
    """
    initialize = payloads.initialize() if revision is None else payloads.initialize(revision=revision)
    with closing(http_connection(target)) as connection:
        connection.request("POST", "/mcp", initialize, payloads.USUAL)
        response = connection.getresponse()
        response.read()
        session = response.headers["Mcp-Session-Id"]
        if session is None:
            raise http.client.HTTPException(f"no session: {response.status}")
        connection.request("POST", "/mcp", payloads.INITIALIZED, {**payloads.USUAL, "Mcp-Session-Id": session})
        connection.getresponse().read()
    target.counter.connections.value += 1
    target.counter.requests.value += 2
    return str(session)


def sessions(target: Target) -> None:
    """Initialize sessions without end."""
    block = payloads.post(payloads.initialize()) * 2
    play(target, 16, lambda _number: paced(block))


def trailers(target: Target) -> None:
    """Send trailers, or the extension of a chunk, without end."""
    whole = b"4\r\nnull\r\n0\r\n"
    endless = (
        (whole, b"X-Trailer: " + b"a" * 200 + b"\r\n"),
        (whole + b"X-Trailer: ", b"a" * BLOCK),
        (b"4;", b"a" * BLOCK),
        (whole, b"X:\r\n"),
    )

    def script(number: int) -> Iterator[bytes]:
        opening, rest = endless[number % len(endless)]
        yield CHUNKED + opening
        yield from repeat(rest * max(1, BLOCK // len(rest)))

    play(target, 2 * len(endless), script)


def heads(target: Target) -> None:
    """Send request heads far above 64 KiB, each in one piece."""
    large = b"a" * (16 * BLOCK)
    start = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    kinds = (
        start + b"X-Large: " + large + b"\r\n\r\n",
        start + b"X: y\r\n" * (2 * BLOCK) + b"\r\n",
        b"GET /" + large + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        start + b"X-Large: " + b"a" * (2 * BLOCK) + b"\r\nContent-Length: 2\r\n\r\n{}",
    )
    play(target, 2 * len(kinds), lambda number: repeat(kinds[number % len(kinds)]))


def bodies(target: Target) -> None:
    """Send all but the last byte of large bodies, on many connections."""
    opening = payloads.head("POST", headers={**payloads.USUAL, "Content-Length": str(BODY_BYTES)})
    body = b" " * (BODY_BYTES - 1)
    play(target, BODIES, lambda _number: iter((opening, body)))


def chunks(target: Target) -> None:
    """Send bodies in chunks of one byte."""
    block = b"1\r\n \r\n" * 10_000

    def script(_number: int) -> Iterator[bytes]:
        yield CHUNKED
        yield from repeat(block)

    play(target, 4, script)


def pipeline(target: Target) -> None:
    """Pipeline tiny requests, and read the responses."""
    play(target, 8, _tiny_requests)


def pipeline_unread(target: Target) -> None:
    """Pipeline tiny requests without reading the responses."""
    play(target, 50, _tiny_requests, reads=False)


def _tiny_requests(number: int) -> Iterator[bytes]:
    kinds = (
        payloads.get("/healthz"),
        payloads.get("/nothing"),
        payloads.post(b"{}"),
        payloads.stateless_call("echo", {"message": "x"}),
    )
    return repeat(kinds[number % len(kinds)] * PIPELINED)


def connections(target: Target) -> None:
    """Open connections without end that send nothing or half a head."""
    starts = ((), (b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n",))
    play(target, CONNECTIONS, lambda number: iter(starts[number % len(starts)]))


def streams(target: Target) -> None:
    """Open event streams and WebSockets without end."""
    session = open_session(target)
    listen = {"Accept": "text/event-stream", "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    kinds = (
        payloads.get("/sse", {"Accept": "text/event-stream"}),
        payloads.upgrade(target.port),
        payloads.get("/mcp", listen),
        payloads.stateless("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
    )
    play(target, CONNECTIONS, lambda number: iter((kinds[number % len(kinds)], WAIT)))
