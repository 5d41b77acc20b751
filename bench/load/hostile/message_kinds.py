"""Attacks by the content of JSON-RPC messages: many values, long names, large `initialize`, batches, subscriptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import count, cycle, islice

from bench.load.hostile import payloads
from bench.load.hostile.http_kinds import open_session
from bench.load.hostile.payloads import LARGE
from bench.load.hostile.player import WAIT, play
from bench.load.hostile.target import Target
from bench.load.hostile.websocket_kinds import opened
from bench.messages import Era
from bench.websocket_frames import TEXT

HELD = 60
SESSIONS = 20
LONG_URI = 20_000
LATEST = Era.HANDSHAKE.revision


def around(value: bytes, method: bytes = b"ping") -> bytes:
    """Return a request with an encoded JSON value in its params."""
    return b'{"jsonrpc":"2.0","id":1,"method":"%s","params":{"a":%s}}' % (method, value)


def filled(item: bytes, opening: bytes = b"[", closing: bytes = b"]", size: int = LARGE) -> bytes:
    """Return a JSON array or object that repeats an item up to a size in bytes."""
    items = b",".join([item] * (size // (len(item) + 1)))
    return opening + items + closing


@cache
def value_floods() -> Sequence[bytes]:
    """Return messages of nearly 4 MB that consist of very many values."""
    deep = b"[" * 40 + b"]" * 40
    values = (b"[]", b"{}", b"1", b"1e5", b'""', b"null", deep, b'{"a":[]}', b'"\\u0000"')
    members = filled(b'"a":1', b"{", b"}")
    return (*(around(filled(value)) for value in values), around(members), filled(b"[]"), filled(b"1"))


@cache
def long_names() -> Sequence[bytes]:
    """Return messages of nearly 4 MB with one very long string where a name or an id belongs."""
    name = "n" * LARGE
    messages = (
        payloads.message("ping", identifier=name),
        payloads.message(name),
        payloads.message("tools/call", {"name": name, "arguments": {}}),
        payloads.message("prompts/get", {"name": name}),
        payloads.message("resources/read", {"uri": f"file:///{name}"}),
        payloads.message("tools/call", {"name": "echo", "arguments": {"message": "x", name: 1}}),
        payloads.message("tools/list", {"cursor": name}),
        payloads.message("ping", {"_meta": {"progressToken": name}}),
        payloads.message("logging/setLevel", {"level": name}),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": name}},
        {"jsonrpc": "2.0", "id": name, "result": {}},
    )
    return tuple(payloads.encode(message) for message in messages)


@cache
def large_introductions() -> Sequence[bytes]:
    """Return `initialize` of nearly 4 MB: many empty lists, deep ones, many names, and a long name."""
    before, _, behind = payloads.initialize().partition(b'"capabilities":{}')
    deep = b"[" * 40 + b"]" * 40
    names = b",".join(b'"%07d":{}' % number for number in range(LARGE // 13))
    capabilities = (filled(b"[]"), filled(b"{}"), filled(deep), b"{" + names + b"}")
    large = tuple(before + b'"capabilities":{"experimental":{"x":' + value + b"}}" + behind for value in capabilities)
    return (*large, payloads.initialize(name="n" * LARGE), payloads.initialize(revision="2" * LARGE))


@cache
def batches_of_requests() -> Sequence[bytes]:
    """Return batches: a hundred pings or calls, and nearly 4 MB of pings, notifications or empty objects."""
    ping = payloads.encode({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    call = payloads.call("echo", {"message": "x" * 1_000})
    note = payloads.encode({"jsonrpc": "2.0", "method": "notifications/x"})
    hundred = [b"[" + b",".join([message] * 100) + b"]" for message in (ping, call)]
    return (*hundred, filled(ping), filled(note), filled(b"{}"), filled(b"[]"))


def initialize_http(target: Target) -> None:
    """Initialize with large capabilities and names over HTTP."""
    bodies = [payloads.post(body) for body in large_introductions()]
    play(target, 4, partial(_from, bodies))


def initialize_websocket(target: Target) -> None:
    """Initialize with large capabilities and names on WebSockets that stay open."""
    frames = [payloads.frame(TEXT, body) for body in large_introductions()]
    play(target, HELD, lambda number: opened(target.port, frames[number % len(frames)]))


def values_http(target: Target) -> None:
    """Send messages of very many values over HTTP."""
    _over_http(target, value_floods(), LATEST)


def values_websocket(target: Target) -> None:
    """Send messages of very many values over WebSocket."""
    _over_websocket(target, value_floods(), LATEST)


def names_http(target: Target) -> None:
    """Send messages with very long names and ids over HTTP."""
    _over_http(target, long_names(), LATEST)


def names_websocket(target: Target) -> None:
    """Send messages with very long names and ids over WebSocket."""
    _over_websocket(target, long_names(), LATEST)


def batches_http(target: Target) -> None:
    """Send batches over HTTP."""
    _over_http(target, batches_of_requests(), payloads.BATCHES)


def batches_websocket(target: Target) -> None:
    """Send batches over WebSocket."""
    _over_websocket(target, batches_of_requests(), payloads.BATCHES)


def subscriptions_http(target: Target) -> None:
    """Subscribe to ever more resources in many sessions over HTTP."""
    ids = [open_session(target) for _ in range(SESSIONS)]

    def script(number: int) -> Iterator[bytes]:
        return (payloads.in_session(ids[number % SESSIONS], body) for body in _subscribe(number, target))

    play(target, SESSIONS, script)


def subscriptions_websocket(target: Target) -> None:
    """Subscribe to ever more resources on many WebSockets."""

    def script(number: int) -> Iterator[bytes]:
        yield from _introduced(target.port, LATEST)
        yield from (payloads.frame(TEXT, body) for body in _subscribe(number, target))

    play(target, SESSIONS, script)


def _subscribe(session: int, target: Target) -> Iterator[bytes]:
    for number in count():
        name = f"{session}-{number}"
        uris = (f"flood://{name}", f"flood://{name}-{'x' * LONG_URI}", f"{target.root.as_uri()}/{name}.txt")
        uri = uris[number % len(uris)]
        yield payloads.encode(payloads.message("resources/subscribe", {"uri": uri}, number))


def _over_http(target: Target, bodies: Sequence[bytes], revision: str) -> None:
    session = open_session(target, revision)
    play(target, 4, partial(_from, [payloads.in_session(session, body, revision) for body in bodies]))


def _over_websocket(target: Target, bodies: Sequence[bytes], revision: str) -> None:
    frames = [payloads.frame(TEXT, body) for body in bodies]

    def script(number: int) -> Iterator[bytes]:
        yield from _introduced(target.port, revision)
        yield from _from(frames, number)

    play(target, 4, script)


def _introduced(port: int, revision: str) -> Iterator[bytes]:
    yield from opened(port, payloads.frame(TEXT, payloads.initialize(revision=revision)))
    yield WAIT
    yield payloads.frame(TEXT, payloads.INITIALIZED)


def _from(blocks: Sequence[bytes], number: int) -> Iterator[bytes]:
    """Yield the blocks in an endless cycle, from a different first block for each connection."""
    first = number * 3 % len(blocks)
    return islice(cycle(blocks), first, None)
