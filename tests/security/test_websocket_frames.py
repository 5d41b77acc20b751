"""WebSocket frames with little or no payload: their number, rate and memory are limited."""

import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from select import select
from socket import socket

import pytest

from tests.support.connections import QUICK, connect, neighbour, send_until_ended
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.guarded import Guarded, guarded
from tests.support.machine import growing_by_less_than, resident_bytes
from tests.support.raw_http import RawConnection
from tests.support.streamable_http import UPGRADE, raw_request
from tests.support.websocket_conversation import masked_frame, websocket

MEMORY = 64 * 1024 * 1024
ATTACK_SECONDS = 2.0
MESSAGE_SECONDS = 15.0
CONTINUATION, TEXT, UNKNOWN, CLOSE, PING, PONG = 0x0, 0x1, 0x3, 0x8, 0x9, 0xA
FINAL = 0x80
NOTICE = b'{"jsonrpc":"2.0","method":"a"}'
CALL = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LARGE = b" " * 4_000_000


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("gate"), security={"require_key": False, "anonymous": "all"}) as running:
        yield running


@contextmanager
def opened(gate: Guarded) -> Iterator[socket]:
    """Yield the TCP socket of an open WebSocket."""
    with connect(gate.server.port) as client:
        client.sendall(raw_request("GET", "/ws", "localhost", UPGRADE))
        reading = RawConnection(client)
        assert b" 101 " in reading.line()
        while reading.line() != b"\r\n":
            pass
        yield client


def code_of(received: bytes) -> int:
    """Return the close code at the end of the received bytes."""
    start = received.rindex(b"\x88")
    return int(struct.unpack(">H", received[start + 2 : start + 4])[0])


FLOODS: Mapping[str, tuple[bytes, bytes]] = {
    "pings": (b"", masked_frame(FINAL | PING)),
    "large pings": (b"", masked_frame(FINAL | PING, b"x" * 125)),
    "pongs": (b"", masked_frame(FINAL | PONG)),
    "empty fragments": (masked_frame(TEXT, b"{"), masked_frame(CONTINUATION)),
    "tiny fragments": (masked_frame(TEXT, b"{"), masked_frame(CONTINUATION, b" ")),
    "pings between fragments": (
        masked_frame(TEXT, b"{"),
        masked_frame(FINAL | PING) + masked_frame(CONTINUATION, b" "),
    ),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_many_frames_without_a_message_end_the_connection_with_1008(gate: Guarded, kind: str) -> None:
    opening, unit = FLOODS[kind]
    with (
        growing_by_less_than(MEMORY, gate.server.child.pid),
        neighbour(gate.server) as other,
        opened(gate) as hostile,
    ):
        hostile.sendall(opening)
        hostile.sendall(unit * 1100)
        assert code_of(RawConnection(hostile).received()) == 1008
    assert (other.worst < QUICK, other.failures) == (True, [])


@pytest.mark.parametrize("kind", ["pings", "empty fragments"])
def test_twenty_connections_of_them_at_full_speed_starve_nobody(gate: Guarded, kind: str) -> None:
    opening, unit = FLOODS[kind]
    with neighbour(gate.server) as other, ExitStack() as stack:
        for _ in range(20):
            hostile = stack.enter_context(opened(gate))
            hostile.sendall(opening)
            send_until_ended(hostile, unit * 10_000, 0.1)
    assert (other.worst < QUICK, other.failures) == (True, [])


MESSAGES = {"empty": b"", "no request": b"{}", "notifications": NOTICE, "pings": CALL}


@pytest.mark.parametrize("kind", MESSAGES)
def test_tiny_messages_at_full_speed_starve_nobody(gate: Guarded, kind: str) -> None:
    """The messages are valid and served at a fair rate, although the client reads nothing."""
    unit = masked_frame(FINAL | TEXT, MESSAGES[kind])
    with (
        growing_by_less_than(MEMORY, gate.server.child.pid),
        neighbour(gate.server) as other,
        ExitStack() as stack,
    ):
        for _ in range(4):
            send_until_ended(stack.enter_context(opened(gate)), unit * 5_000, ATTACK_SECONDS / 4)
    assert other.answers > 10
    assert (other.worst < QUICK, other.failures) == (True, [])


def test_a_burst_of_messages_is_answered_completely(gate: Guarded) -> None:
    asked = 3_000
    with websocket(gate.server, max_queue=None) as client:
        for number in range(asked):
            client.send(f'{{"jsonrpc":"2.0","id":{number},"method":"ping"}}')
        answers = {client.recv(PATIENCE) for _ in range(asked)}
    assert len(answers) == asked


def test_a_message_in_fragments_and_pings_now_and_then_are_served(gate: Guarded) -> None:
    with websocket(gate.server) as client:
        for _ in range(50):
            assert client.ping().wait(PATIENCE)
        client.send([bytes([letter]).decode() for letter in CALL])
        assert '"result"' in str(client.recv(PATIENCE))


@pytest.mark.parametrize("kind", ["frame", "fragments"])
def test_messages_that_do_not_come_to_their_end_hold_little_memory_together(gate: Guarded, kind: str) -> None:
    part = masked_frame(FINAL | TEXT, LARGE)[:-1] if kind == "frame" else masked_frame(TEXT, LARGE)
    with (
        growing_by_less_than(MEMORY, gate.server.child.pid),
        neighbour(gate.server) as other,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(opened(gate)) for _ in range(20)]
        for hostile in clients:
            with suppress(OSError):
                hostile.sendall(part)
        first, *_ = select(clients, [], [], PATIENCE)[0]
        assert code_of(RawConnection(first).received()) == 1013
    assert (other.worst < QUICK, other.failures) == (True, [])


@pytest.mark.parametrize("kind", ["frame", "fragments"])
def test_what_arrived_of_them_is_freed_when_they_are_refused_and_when_their_client_leaves(
    tmp_path: Path, kind: str
) -> None:
    part = masked_frame(FINAL | TEXT, LARGE)[:-1] if kind == "frame" else masked_frame(TEXT, LARGE)
    with guarded(tmp_path, security={"require_key": False, "anonymous": "all"}) as own:
        pid = own.server.child.pid
        with opened(own) as client:
            client.sendall(masked_frame(FINAL | TEXT, CALL))
            assert b'"result"' in client.recv(1000)
        before = resident_bytes(pid)
        with growing_by_less_than(MEMORY, pid):
            for _ in range(10):
                with ExitStack() as stack:
                    for _ in range(10):
                        with suppress(OSError):
                            stack.enter_context(opened(own)).sendall(part)
        wait_until(lambda: resident_bytes(pid) < 1.1 * before, "the memory is back")


def test_nor_may_a_message_take_long(gate: Guarded) -> None:
    with opened(gate) as one, opened(gate) as other, opened(gate) as idle:
        one.sendall(masked_frame(TEXT, b"{"))
        other.sendall(masked_frame(FINAL | TEXT, CALL)[:-1])
        for hostile in (one, other):
            assert code_of(RawConnection(hostile).received(MESSAGE_SECONDS + PATIENCE)) == 1008
        idle.sendall(masked_frame(FINAL | TEXT, CALL))
        assert b'"result"' in idle.recv(1000)


ENDINGS: Mapping[str, bytes] = {
    "the client closes": masked_frame(FINAL | CLOSE, struct.pack(">H", 1000)),
    "a frame of no kind": masked_frame(FINAL | UNKNOWN, b"x"),
    "text that is not UTF-8": masked_frame(FINAL | TEXT, b"\xff"),
    "too many pings": masked_frame(FINAL | PING) * 1100,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_answer_behind_the_end_of_the_connection_is_no_error(tmp_path: Path, ending: str) -> None:
    with guarded(tmp_path, security={"require_key": False, "anonymous": "all"}) as own:
        for message in (CALL, b"{}", b"no JSON"):
            with opened(own) as client:
                client.sendall(masked_frame(FINAL | TEXT, message) * 20 + ENDINGS[ending])
                RawConnection(client).received()
        own.server.child.stop()
        assert "Traceback" not in own.server.child.stderr()


def test_frames_before_the_answer_to_the_handshake_wait_for_it(gate: Guarded) -> None:
    with connect(gate.server.port) as client:
        client.settimeout(PATIENCE)
        client.sendall(raw_request("GET", "/ws", "localhost", UPGRADE) + masked_frame(FINAL | TEXT, CALL))
        received = b""

        def answered() -> bool:
            nonlocal received
            received += client.recv(1000)
            return b'"result"' in received

        wait_until(answered, "the message behind the handshake is answered")
    assert received.startswith(b"HTTP/1.1 101 ")
