"""Attacks on WebSocket itself: tiny frames, fragments, unfinished messages, and pings whose pongs are not read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import repeat

from bench.load.hostile import payloads
from bench.load.hostile.player import WAIT, play
from bench.load.hostile.target import Target
from bench.websocket_frames import PING, PONG, TEXT

CONTINUATION = 0x0
BLOCK_FRAMES = 10_000
UNFINISHED = 200
UNREAD = 20
MESSAGE_BYTES = 4 * 1024 * 1024
FRAGMENT_BYTES = 1 << 16


def opened(port: int, *blocks: bytes, endless: bytes | None = None) -> Iterator[bytes]:
    """Yield an upgrade request, these blocks, and then `endless` repeatedly."""
    yield payloads.upgrade(port)
    yield WAIT
    yield from blocks
    if endless is not None:
        yield from repeat(endless)


def pings(target: Target) -> None:
    """Send tiny pings, which are answered, and unsolicited pongs."""
    floods = (payloads.frame(PING), payloads.frame(PING, b"x"), payloads.frame(PONG))
    play(target, 6, lambda number: opened(target.port, endless=floods[number % len(floods)] * BLOCK_FRAMES))


def fragments(target: Target) -> None:
    """Send endless messages of empty or one-byte fragments."""
    starts = (b"", b" ")

    def script(number: int) -> Iterator[bytes]:
        part = starts[number % len(starts)]
        first = payloads.frame(TEXT, part, final=False)
        return opened(target.port, first, endless=payloads.frame(CONTINUATION, part, final=False) * BLOCK_FRAMES)

    play(target, 4, script)


def unfinished(target: Target) -> None:
    """Send all but the end of large messages, in one frame or in fragments, on many connections."""
    part = b" " * FRAGMENT_BYTES
    one = (payloads.frame(TEXT, b" " * (MESSAGE_BYTES - 1), size=MESSAGE_BYTES),)
    many = (
        payloads.frame(TEXT, part, final=False),
        payloads.frame(CONTINUATION, part, final=False) * (MESSAGE_BYTES // FRAGMENT_BYTES - 1),
    )
    play(target, UNFINISHED, lambda number: opened(target.port, *(one if number % 2 else many)))


def texts(target: Target) -> None:
    """Send tiny text frames: invalid messages, and JSON-RPC pings."""
    bodies = (b"1", b"{}", payloads.encode({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
    play(target, 6, partial(_endless_text, target.port, bodies))


def unread(target: Target) -> None:
    """Send WebSocket and JSON-RPC pings without reading the responses."""
    floods = (
        payloads.frame(PING, b"x" * 125) * BLOCK_FRAMES,
        payloads.frame(TEXT, payloads.encode({"jsonrpc": "2.0", "id": "i" * 200, "method": "ping"})) * 1_000,
    )
    play(target, UNREAD, lambda number: opened(target.port, endless=floods[number % len(floods)]), reads=False)


def _endless_text(port: int, bodies: tuple[bytes, ...], number: int) -> Iterator[bytes]:
    return opened(port, endless=payloads.frame(TEXT, bodies[number % len(bodies)]) * BLOCK_FRAMES)
