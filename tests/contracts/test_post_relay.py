"""The contract of PostRelay: a message reaches the process that has the stream, and its reply returns."""

from collections.abc import Callable

import anyio
import pytest

from tests.support.deadlines import PATIENCE
from tfo_mcp.application.ports import PostReceiver, PostRelay

pytestmark = pytest.mark.anyio

Relays = tuple[PostRelay, PostRelay]
CALLER = 'a caller, "quoted"\nand more'


def owner_of(*streams: str, reply: Callable[[bytes], bytes] = bytes.upper) -> PostReceiver:
    """Return a receiver that replies for these streams of CALLER."""

    async def receive(stream: str, caller: str, message: bytes) -> bytes | None:
        return reply(message) if stream in streams and caller == CALLER else None

    return receive


@pytest.mark.parametrize("asking", [0, 1], ids=["the process of the stream", "the other process"])
@pytest.mark.parametrize(
    "message", [b"hello", b"", b"\n\x00\xff\n", b"x" * 4_000_000], ids=["text", "empty", "raw", "4 MB"]
)
async def test_the_reply_is_that_of_the_process_with_the_stream(
    post_relays: Relays, asking: int, message: bytes
) -> None:
    here, there = post_relays
    stream = here.new_stream()
    here.receive(owner_of(stream))
    there.receive(owner_of(there.new_stream()))
    assert await post_relays[asking].post(stream, CALLER, message) == message.upper()


@pytest.mark.parametrize("asking", [0, 1], ids=["the process of the stream", "the other process"])
async def test_an_empty_reply_is_a_reply(post_relays: Relays, asking: int) -> None:
    stream = post_relays[0].new_stream()
    post_relays[0].receive(owner_of(stream, reply=lambda _: b""))
    assert await post_relays[asking].post(stream, CALLER, b"message") == b""


@pytest.mark.parametrize("asking", [0, 1], ids=["the process of the stream", "the other process"])
async def test_another_caller_has_no_such_stream(post_relays: Relays, asking: int) -> None:
    stream = post_relays[0].new_stream()
    post_relays[0].receive(owner_of(stream))
    assert await post_relays[asking].post(stream, "somebody", b"message") is None


@pytest.mark.parametrize("stream", ["", "-", "unknown", "0123456789ab-unknown", "x" * 10_000, "ä\n*"], ids=ascii)
async def test_an_unknown_stream_has_no_reply(post_relays: Relays, stream: str) -> None:
    for relay in post_relays:
        relay.receive(owner_of(relay.new_stream()))
        assert await relay.post(stream[:200], CALLER, b"message") is None


async def test_a_stream_that_has_ended_has_no_reply(post_relays: Relays) -> None:
    stream = post_relays[0].new_stream()
    post_relays[0].receive(owner_of(stream))()
    for relay in post_relays:
        assert await relay.post(stream, CALLER, b"message") is None


async def test_a_message_that_waits_does_not_hold_up_others(post_relays: Relays) -> None:
    here, there = post_relays
    stream, proceed, replies = here.new_stream(), anyio.Event(), []

    async def receive(asked: str, _caller: str, message: bytes) -> bytes | None:
        if message == b"slow":
            await proceed.wait()
        return message if asked == stream else None

    async def post(message: bytes) -> None:
        replies.append(await there.post(stream, CALLER, message))
        proceed.set()

    here.receive(receive)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, b"slow")
            tasks.start_soon(post, b"quick")
    assert replies == [b"quick", b"slow"]


@pytest.mark.parametrize("post_relays", ["redis"], indirect=True)
async def test_a_receiver_that_fails_ends_neither_the_relay_nor_the_wait(post_relays: Relays) -> None:
    """In one process the failure is that of the caller."""
    here, there = post_relays
    stream = here.new_stream()

    async def receive(_stream: str, _caller: str, message: bytes) -> bytes | None:
        if message == b"fail":
            raise RuntimeError
        return message

    here.receive(receive)
    assert await there.post(stream, CALLER, b"fail") is None
    assert await there.post(stream, CALLER, b"again") == b"again"


async def test_names_of_streams_differ(post_relays: Relays) -> None:
    names = {relay.new_stream() for relay in post_relays for _ in range(100)}
    assert len(names) == 200
    assert min(map(len, names)) >= 32
