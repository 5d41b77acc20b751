"""Encoding and decoding of WebSocket frames for a client (RFC 6455), and the upgrade request. No I/O.

The mask of written frames is all zeros: the work of the server is the same as with any mask, and the client has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL = 0x80
MASKED = 0x80
NO_MASK = bytes(4)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Frame(NamedTuple):
    """One frame, and where the next one begins in the bytes that it was read from."""

    opcode: int
    payload: bytes
    end: int


def upgrade_request(port: int, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an upgrade request with the subprotocol `mcp` and optional additional headers."""
    further = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mcp\r\n{further}\r\n"
    ).encode()


def write_frame(opcode: int, payload: bytes) -> bytes:
    """The bytes of a client's frame."""
    size = len(payload)
    if size < 126:
        head = bytes((FINAL | opcode, MASKED | size))
    elif size < 1 << 16:
        head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2)
    else:
        head = bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8)
    return head + NO_MASK + payload


def read_frame(data: bytes, start: int = 0) -> Frame | None:
    """The server's frame that begins at `start`, or None while it is incomplete."""
    begin = start + 2
    if len(data) < begin:
        return None
    size = data[start + 1]
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < begin + width:
            return None
        size = int.from_bytes(data[begin : begin + width])
        begin += width
    end = begin + size
    return Frame(data[start] & 0x0F, data[begin:end], end) if len(data) >= end else None
