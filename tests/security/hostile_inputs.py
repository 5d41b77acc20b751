"""Generators of hostile inputs of small size: messages, raw HTTP, WebSocket frames and credentials. No I/O.

The same `Random` gives the same inputs. Sizes are far below the server's limits, so that many inputs can be tried; the
load campaigns (`bench.load.hostile`) send the large ones.
"""

import base64
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, notification, request, stateless_params
from tests.support.raw_http import chunk

MOST_VALUES = 2_000
LONGEST_NAME = 40_000
DEEPEST = 200
BATCH_SIZES = (0, 1, 2, 99, 100, 101, 1_000)
BATCHES = "2025-03-26"
HOST = b"Host: 127.0.0.1\r\n"
USUAL = HOST + b"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
POST = b"POST /mcp HTTP/1.1\r\n" + USUAL
UPGRADE = (
    b"GET /ws HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
ODD: tuple[Any, ...] = (None, 0, "", [], {}, "x" * 2_000, True, 1e400, -1, "none", ["a"] * 100, [None], "\u0000", 1.5)
"""Invalid values of claims."""
CLAIMS = ("iss", "aud", "sub", "exp", "nbf", "iat", "scope", "scp")
_ITEMS = (b"[]", b"{}", b"1", b"-1.5e3", b'""', b"null", b"true", b'{"a":[]}', b'"\\u0000"', b"[[[[]]]]")
_LETTERS = ("n", "\\", '"', "/", "%", "\u0000", "é", "\u202e", "\U0001f600", "../", "x" * 50)
_METHODS = ("ping", "tools/call", "tools/list", "resources/read", "resources/subscribe", "prompts/get", "initialize")


def message(random: Random) -> bytes:
    """Return one message: a flood of values, a long name, a batch, or an oversized `initialize`."""
    return random.choice((_value_flood, _long_name, _batch, _introduction))(random)


def _flood(random: Random) -> bytes:
    item = random.choice(_ITEMS)
    if random.randrange(4) == 0:
        depth = random.randrange(1, DEEPEST)
        return b"[" * depth + b"]" * (depth - random.choice((0, 0, 0, 1)))
    if random.randrange(4) == 0:
        return (
            b"{" + b",".join(b'"%d":%s' % (number % 7, item) for number in range(random.randrange(MOST_VALUES))) + b"}"
        )
    return b"[" + b",".join([item] * random.randrange(MOST_VALUES)) + b"]"


def _value_flood(random: Random) -> bytes:
    """Return a message with a flood of values in one place."""
    marker = "a place for values"
    method = random.choice(_METHODS)
    params: dict[str, Any] = {"name": "echo", "uri": "status://health", "arguments": {"message": "x"}}
    whole: dict[str, Any] = request(1, method, stateless_params(params) if random.randrange(2) else params)
    random.choice((whole, whole["params"], whole["params"].setdefault("_meta", {})))[
        random.choice(("params", "id", "method", "arguments", "name", "_meta", "uri", "capabilities", "x"))
    ] = marker
    encoded = json.dumps(whole).encode()
    return random.choice((encoded.replace(json.dumps(marker).encode(), _flood(random)), _flood(random)))


def _name(random: Random) -> str:
    return random.choice(_LETTERS) * random.randrange(1, LONGEST_NAME // 50)


def _long_name(random: Random) -> bytes:
    """Return a message with a long name in place of a name or an id."""
    name = _name(random)
    choices: Sequence[Any] = (
        request(name, "ping"),
        request(1, name),
        request(1, "tools/call", {"name": name, "arguments": {name: name}}),
        request(1, "tools/call", stateless_params({"name": name})),
        request(1, "prompts/get", {"name": name, "arguments": {name: name}}),
        request(1, "resources/read", {"uri": random.choice(("file:///", "flood://", "", "a:")) + name}),
        request(1, "resources/subscribe", {"uri": f"file:///{name}"}),
        request(1, "resources/unsubscribe", {"uri": f"file:///{name}"}),
        request(1, "tools/list", {"cursor": name}),
        request(1, "logging/setLevel", {"level": name}),
        request(1, "completion/complete", {"ref": {"type": name}, "argument": {"name": name, "value": name}}),
        request(1, "ping", {"_meta": {"progressToken": name, name: name}}),
        notification("notifications/cancelled", {"requestId": name, "reason": name}),
        {"jsonrpc": "2.0", "id": name, "result": {}},
        {"jsonrpc": name, "id": 1, "method": "ping"},
    )
    return json.dumps(random.choice(choices), ensure_ascii=bool(random.randrange(2))).encode()


def _batch(random: Random) -> bytes:
    """Return a batch of valid, hostile and malformed messages."""
    singles = (
        json.dumps(request(1, "ping")).encode(),
        json.dumps(notification("notifications/x")).encode(),
        json.dumps(request(1, "tools/call", {"name": "echo", "arguments": {"message": "x"}})).encode(),
        json.dumps(request(1, "initialize", initialize_params(BATCHES))).encode(),
        b"{}",
        b"[]",
        b"1",
    )
    some = random.sample(singles, random.randrange(1, len(singles)))
    number = random.choice(BATCH_SIZES)
    return b"[" + b",".join(some[position % len(some)] for position in range(number)) + b"]"


def _introduction(random: Random) -> bytes:
    """Return an `initialize` with capabilities, names or revisions that are large or odd."""
    whole = request(1, "initialize", initialize_params(random.choice((LATEST_HANDSHAKE, BATCHES, _name(random)))))
    info = {"name": _name(random), "version": _name(random), "icons": [{"src": _name(random)}] * 20}
    whole["params"]["clientInfo"] = random.choice((info, {**info, "name": None}, [], None, {}))
    encoded = json.dumps(whole).encode()
    return encoded.replace(b'"capabilities": {}', b'"capabilities": {"experimental": %s}' % _flood(random))


def http_input(random: Random) -> bytes:
    """Return the bytes that a hostile client sends on one HTTP connection."""
    return random.choice((_chunked, _heads, _lengths, _pipelined, _posted, _odd_requests))(random)


def _posted(random: Random) -> bytes:
    body = message(random)
    further = random.choice(
        (b"", b"Mcp-Method: ping\r\n", b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n")
    )
    return POST + further + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _chunked(random: Random) -> bytes:
    """Return a chunked body with odd sizes, extensions, line ends and trailers."""
    sizes = (
        b"0",
        b"00",
        b"1",
        b"-1",
        b"0x1",
        b"g",
        b"",
        b" 4",
        b"4 ",
        b"FFFFFFFFFFFFFFFFF",
        b"7fffffffffffffff",
        b"+4",
    )
    extensions = (b"", b"", b";a", b";a=b", b';a="\r\n"', b";" + b"x" * random.randrange(20_000), b"; \t", b"\0")
    ends = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"")
    trailer = random.choice(
        (b"X: y", b"Content-Length: 5", b"Transfer-Encoding: x", b": y", b"X", b"X\0: y", b"Host: x")
    )
    parts = [chunk(message(random))] if random.randrange(2) else []
    for _ in range(random.choice((0, 1, 5, 300))):
        parts.append(random.choice(sizes) + random.choice(extensions) + random.choice(ends))
        parts.append(random.choice((b"", b"a", b"null", b"[")) + random.choice(ends))
    parts.append(b"0" + random.choice(extensions) + b"\r\n")
    parts.append((trailer + random.choice(ends)) * random.choice((0, 1, 3, 500)))
    encodings = (b"chunked", b"chunked", b"chunked", b"gzip, chunked", b"chunked, chunked", b"Chunked", b"\x0bchunked")
    return POST + b"Transfer-Encoding: " + random.choice(encodings) + b"\r\n\r\n" + b"".join(parts) + b"\r\n"


def _heads(random: Random) -> bytes:
    """Return request heads that are large or have odd headers."""
    lines = (
        b"X-Large: " + b"a" * random.randrange(100_000),
        b"a" * random.randrange(1, 70_000) + b": b",
        b"X: y\r\n" * random.randrange(1, 3_000) + b"X: z",
        b"X: y\r\n folded",
        b"X:\0",
        b"X\x80: \xff\xfe",
        b": nothing",
        b"no colon",
        b" : x",
        b"Host: other.example",
        b"Mcp-Session-Id: " + b"s" * random.randrange(10_000),
        b"Mcp-Session-Id: \xe9\xff",
        b"Last-Event-ID: " + random.choice((b"", b"-1", b"9" * 5_000, b"x_y_z", b"\xff", b"a,b")),
        b"MCP-Protocol-Version: " + random.choice((b"", b"2026-07-28", b"9999-99-99", b"x" * 5_000, b"2025-03-26,1")),
        b"Accept: " + random.choice((b"", b"*/*;q=", b",".join([b"a/b;q=0.1"] * 2_000), b"text/event-stream;q=nan")),
        b"Content-Type: " + random.choice((b"", b"application/json; charset=utf-7", b"text/plain", b"a" * 10_000)),
        b"X-Forwarded-For: " + random.choice((b"1.2.3.4", b"::1", b"," * 5_000, b"x" * 5_000, b"127.0.0.1%lo")),
        b"Origin: " + random.choice((b"null", b"http://[", b"http://127.0.0.1:99999999", b"x" * 5_000)),
        b"Expect: 100-continue",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings",
    )
    chosen = b"\r\n".join(random.sample(lines, random.randrange(1, 4)))
    verb = random.choice((b"GET", b"POST", b"DELETE", b"OPTIONS", b"HEAD", b"PUT"))
    return verb + b" " + _path(random) + b" HTTP/1.1\r\n" + USUAL + chosen + b"\r\nContent-Length: 2\r\n\r\n{}"


def _lengths(random: Random) -> bytes:
    """Return bodies with a wrong or repeated length."""
    lengths = (b"0", b"-1", b"+2", b"2, 2", b"9" * 30, b"0x2", b"", b" 2 ", b"2.0", b"4194305", b"1000")
    lines = [b"Content-Length: " + random.choice(lengths) for _ in range(random.choice((1, 1, 2)))]
    if random.randrange(3) == 0:
        lines.append(b"Transfer-Encoding: chunked")
    body = random.choice((b"{}", b"", b"2\r\n{}\r\n0\r\n\r\n", message(random)))
    return POST + b"\r\n".join(lines) + b"\r\n\r\n" + body


def _pipelined(random: Random) -> bytes:
    """Return pipelined requests, the last one possibly truncated."""
    requests = [random.choice((_posted, _odd_requests))(random) for _ in range(random.randrange(2, 6))]
    whole = b"".join(requests) * random.choice((1, 1, 10))
    return whole[: random.choice((len(whole), random.randrange(1, len(whole))))]


def _odd_requests(random: Random) -> bytes:
    """Return odd request lines."""
    version = random.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"", b"X"))
    verb = random.choice((b"GET", b"get", b"G\0T", b"CONNECT", b"TRACE", b"PRI", b"M-SEARCH", b"", b"A" * 5_000))
    return verb + b" " + _path(random) + b" " + version + b"\r\n" + random.choice((HOST, USUAL, b"")) + b"\r\n"


def _path(random: Random) -> bytes:
    paths = (b"/mcp", b"/mcp", b"/sse", b"/messages", b"/ws", b"/healthz", b"/readyz", b"/metrics", b"/", b"*")
    odd = (b"/mcp/../sse", b"//mcp", b"/%6dcp", b"/mcp%00", b"/\xff", b"http://127.0.0.1/mcp", b"/.well-known/x", b"")
    query = (b"", b"", b"?sessionId=" + b"x" * random.randrange(5_000), b"?session_id=%ff%00", b"?" + b"a=b&" * 1_000)
    return random.choice((*paths, *odd)) + random.choice(query)


def websocket_input(random: Random) -> bytes:
    """Return an upgrade and a sequence of frames, some of which break the protocol."""
    upgrade = UPGRADE + random.choice(
        (b"Sec-WebSocket-Protocol: mcp\r\n", b"", b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    )
    if random.randrange(8) == 0:
        upgrade = upgrade.replace(b"13", random.choice((b"12", b"", b"x", b"13, 8"))).replace(b"dGhl", b"")
    return upgrade + b"\r\n" + b"".join(_frames(random) for _ in range(random.randrange(1, 12)))


def _frames(random: Random) -> bytes:
    """Return one frame, or a series of identical ones."""
    opcode = random.choice((0, 0, 1, 1, 1, 2, 3, 7, 8, 9, 9, 10, 11, 15))
    first = opcode | random.choice((0x80, 0x80, 0x80, 0, 0xC0, 0xA0, 0x90))
    payloads = (
        b"",
        b"x",
        b"x" * 125,
        b"x" * 126,
        b"\xff\xfe",
        b"\xed\xa0\x80",
        random.choice((b"\x03\xe8", b"\x03", b"\x00\x00", b"\x03\xed", b"\xff\xff\xff")),
        message(random),
        json.dumps(request(1, "ping")).encode(),
    )
    payload = random.choice(payloads)
    return _frame(random, first, payload) * random.choice((1, 1, 1, 2, 200))


def _frame(random: Random, first: int, payload: bytes) -> bytes:
    """Return a frame, masked or not, with a correct, overlong or wrong length."""
    mask = 0x80 if random.randrange(16) else 0
    key = bytes(4) if mask else b""
    size = len(payload) if random.randrange(16) else random.choice((0, 1, 1 << 16, (1 << 63) - 1, 1 << 63))
    short = size < 126 and random.randrange(16)
    if short:
        return bytes((first, mask | size)) + key + payload
    if size < 1 << 16 and random.randrange(16):
        return bytes((first, mask | 126)) + size.to_bytes(2) + key + payload
    return bytes((first, mask | 127)) + size.to_bytes(8) + key + payload


def credential_inputs(signed: Callable[[Random], bytes]) -> Callable[[Random], bytes]:
    """Return a generator of requests and upgrades with odd credentials; `signed` returns signed odd tokens."""

    def generate(random: Random) -> bytes:
        shown = random.choice((_key, _unsigned, signed))(random)
        if random.randrange(6) == 0:
            shown = _spoiled(random, shown)
        body = json.dumps(request(1, "ping")).encode()
        post = POST + b"%s\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        form = random.randrange(5)
        if form == 0:
            return post.replace(b"%s", b"X-API-Key: " + shown)
        if form == 1:
            entry = base64.urlsafe_b64encode(shown).rstrip(b"=") if random.randrange(4) else shown
            return (
                UPGRADE + b"Sec-WebSocket-Protocol: mcp, base64url.bearer.authorization.tfo-mcp." + entry + b"\r\n\r\n"
            )
        scheme = random.choice((b"Bearer ", b"Bearer ", b"bearer  ", b"Basic ", b"", b"Bearer", b"Digest ", b"\xff "))
        head = UPGRADE + b"%s\r\n\r\n" if form == 2 else post
        return head.replace(b"%s", b"Authorization: " + scheme + shown)

    return generate


def _key(random: Random) -> bytes:
    parts = [random.choice((b"tfo", b"", b"x" * 12, b"\xe9", b"a" * 9_000, b"%00")) for _ in range(random.randrange(6))]
    return b"_".join([b"tfo", *parts])


def _unsigned(random: Random) -> bytes:
    """Return an unsigned token with odd parts."""
    header = {"alg": random.choice((*ODD, "RS256", "HS256", "none")), "kid": random.choice((*ODD, "rsa"))}
    parts = [json.dumps(part).encode() for part in (header, {name: random.choice(ODD) for name in CLAIMS})]
    parts[random.randrange(2)] = random.choice((parts[0], parts[1], b"{", b"[]", b"1", b"\xff", _flood(random)[:5_000]))
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (*parts, random.randbytes(8))]
    return b".".join(encoded[: random.choice((1, 2, 3, 3, 3))])


def _spoiled(random: Random, shown: bytes) -> bytes:
    data = bytearray(shown or b"x")
    data[random.randrange(len(data))] = random.choice(b"._=+/ Aa\t\x80\xff")
    return bytes(data)
