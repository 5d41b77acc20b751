"""Attacks by expensive requests: searches, digests, unread results, and abandoned streams."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path

from bench.load.hostile import payloads
from bench.load.hostile.http_kinds import BLOCK, http_connection, open_session
from bench.load.hostile.player import play
from bench.load.hostile.target import Target
from bench.load.hostile.websocket_kinds import opened
from bench.websocket_frames import TEXT

LINE_BYTES = 20_000_000
SEARCHES = 8
DIGESTS = 60
SPARSE_BYTES = 1 << 40
RESULT_BYTES = 1_000_000
RESULT_FILE = "result.txt"
CALLS = 20
EVENT_STREAMS = 20
STREAMS_OF_SESSION = 3
ENDPOINT = re.compile(rb"data: (/\S+)\r?\n")
LONG_STREAM = {"notifications": 200, "size": 8_192, "gated": False}


def one_long_line(root: Path) -> None:
    """Create a file with one line of 20 MB."""
    (root / "line.txt").write_bytes(b"a" * LINE_BYTES)


def sparse_files(root: Path) -> None:
    """Create sparse files with a size of 1 TiB."""
    for number in range(DIGESTS):
        with (root / f"sparse-{number}").open("wb") as file:
            file.truncate(SPARSE_BYTES)


def large_result(root: Path) -> None:
    """Create a file of 1 MB."""
    (root / RESULT_FILE).write_bytes((b"x" * 99 + b"\n") * (RESULT_BYTES // 100))


def searches(target: Target) -> None:
    """Search the long line for expressions that match everywhere in it."""
    kinds = [
        payloads.stateless_call("search_files", {"path": ".", "contents": expression, "context": context})
        for expression, context in (("a", 0), (".", 20), ("a{1,9}", 0), ("(a|aa)+b?", 0))
    ]
    play(target, SEARCHES, lambda number: repeat(kinds[number % len(kinds)]))


def digests(target: Target) -> None:
    """Request the digests of all sparse files at once."""
    play(target, DIGESTS, lambda number: iter((_digest(number),)))


def _digest(number: int) -> bytes:
    return payloads.stateless_call("file_info", {"path": f"sparse-{number % DIGESTS}", "digest": True})


def results_http(target: Target) -> None:
    """Read a large file on many connections and do not read the results."""
    request = payloads.stateless_call("read_file", {"path": RESULT_FILE}) * 5
    play(target, 200, lambda _number: iter((request,)), reads=False)


def results_websocket(target: Target) -> None:
    """Read a large file many times on many WebSockets and do not read the results."""
    play(target, 50, lambda _number: opened(target.port, _introduction(), _calls()), reads=False)


def results_sse(target: Target) -> None:
    """Read a large file for many event streams of HTTP+SSE, which are not read."""
    deadline = target.deadline()
    calls = repeat(payloads.call("read_file", {"path": RESULT_FILE}), CALLS)
    bodies = [payloads.initialize(), payloads.INITIALIZED, *calls]
    streams = []
    for _ in range(EVENT_STREAMS):
        stream, endpoint = _event_stream(target)
        streams.append(stream)
        with target.connect() as connection:
            for body in bodies:
                connection.sendall(payloads.post(body, path=endpoint))
                if not connection.recv(BLOCK):
                    break
                target.counter.requests.value += 1
    time.sleep(max(0.0, deadline - time.monotonic()))


def _event_stream(target: Target) -> tuple[socket.socket, str]:
    """Open an event stream; return it and the path for POSTs."""
    stream = target.connect(reads=False)
    stream.sendall(payloads.get("/sse", {"Accept": "text/event-stream"}))
    received = b""
    while (found := ENDPOINT.search(received)) is None:
        part = stream.recv(BLOCK)
        if not part:
            raise ConnectionResetError
        received += part
    return stream, found[1].decode()


def history(target: Target) -> None:
    """Begin long resumable streams in ever more sessions, and abandon them."""
    deadline = target.deadline()
    headers = {**payloads.USUAL, "MCP-Protocol-Version": "2025-11-25"}
    body = payloads.call("flood", LONG_STREAM, {"progressToken": 1})
    while time.monotonic() < deadline:
        session = open_session(target)
        for _ in range(STREAMS_OF_SESSION):
            with closing(http_connection(target)) as connection:
                connection.request("POST", "/mcp", body, {**headers, "Mcp-Session-Id": session})
                connection.getresponse().read(1)
                target.counter.requests.value += 1


def _introduction() -> bytes:
    return payloads.frame(TEXT, payloads.initialize()) + payloads.frame(TEXT, payloads.INITIALIZED)


def _calls() -> bytes:
    return b"".join(
        payloads.frame(TEXT, payloads.call("read_file", {"path": RESULT_FILE}, identifier=number))
        for number in range(2, 32)
    )


def stop_floods(target: Target) -> None:
    """Send tiny frames, tiny requests and large messages at the same time."""
    ping = payloads.frame(TEXT, payloads.encode({"jsonrpc": "2.0", "id": 1, "method": "ping"})) * 1_000
    echo = payloads.stateless_call("echo", {"message": "x"}) * 100

    def script(number: int) -> Iterator[bytes]:
        return opened(target.port, endless=ping) if number % 2 else repeat(echo)

    play(target, 8, script)
