"""Byte limits of HTTP requests: every byte counts, in the head, the body and the chunk framing."""

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from tests.support.connections import QUICK, connect, connection_from, neighbour, send_until_ended
from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.machine import growing_by_less_than
from tests.support.raw_http import RawConnection, chunk
from tests.support.streamable_http import UPGRADE, HeaderLine, raw_post, raw_request

HEAD_BYTES = 64 * 1024
ATTACK_SECONDS = 1.0
MEMORY = 64 * 1024 * 1024
CHUNKED = ("Transfer-Encoding", "chunked")
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
LAST = raw_request("GET", "/healthz", "localhost", [("Connection", "close")])
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("gate"), security={"require_key": False, "anonymous": "all"}) as running:
        yield running


def statuses(client: RawConnection) -> list[int]:
    """Read all responses and return their statuses."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", client.received())]


def post(gate: Guarded, *headers: HeaderLine) -> bytes:
    return raw_post(gate.server.port, b"", *headers)


OPENINGS: Mapping[str, tuple[bytes, bytes]] = {
    "trailers": (b"1\r\n \r\n0\r\n", b"X-Trailer: of no interest\r\n" * 500),
    "one trailer": (b"1\r\n \r\n0\r\nX-Trailer: ", b"x" * 10_000),
    "chunk extensions": (b"", b"1;extension=" + b"x" * 5_000 + b"\r\n \r\n"),
    "one chunk extension": (b"1;", b"x" * 10_000),
}


@pytest.mark.parametrize("kind", OPENINGS)
def test_bytes_that_are_no_part_of_the_body_are_refused_when_they_are_many(gate: Guarded, kind: str) -> None:
    opening, rest = OPENINGS[kind]
    with (
        growing_by_less_than(MEMORY, gate.server.child.pid),
        neighbour(gate.server) as other,
        connect(gate.server.port) as hostile,
    ):
        hostile.sendall(post(gate, CHUNKED) + opening)
        send_until_ended(hostile, rest, ATTACK_SECONDS)
        assert RawConnection(hostile).response().status == 400
    assert (other.worst < QUICK, other.failures) == (True, [])


def test_a_body_in_chunks_of_one_byte_with_extensions_and_trailers_is_served(gate: Guarded) -> None:
    body = json.dumps(INITIALIZE).encode()
    chunks = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body)
    with connection_from(gate.server.port) as client:
        client.send(post(gate, CHUNKED) + chunks + b"0\r\nX-Trailer: end\r\n\r\n")
        assert client.response().status == 200


def test_a_trailer_is_no_header(gate: Guarded) -> None:
    """Trailers set headers neither of this request nor of the next."""
    with connection_from(gate.server.port) as client:
        client.send(post(gate, CHUNKED) + chunk(json.dumps(INITIALIZE).encode()))
        client.send(b"0\r\nMcp-Session-Id: somebody-elses\r\nX-API-Key: tfo_wrong\r\n\r\n")
        assert client.response().status == 200


class TestHeads:
    @pytest.mark.parametrize("segments", [1, 2, 50])
    @pytest.mark.parametrize("kind", ["one value", "many fields", "one name"])
    def test_a_head_of_more_than_64_kib_is_refused_in_however_many_segments(
        self, gate: Guarded, kind: str, segments: int
    ) -> None:
        field = {
            "one value": b"X-Large: " + b"x" * HEAD_BYTES,
            "many fields": b"\r\n".join(b"X-%03d: %b" % (number, b"x" * 1000) for number in range(70)),
            "one name": b"x" * HEAD_BYTES + b": y",
        }[kind]
        raw = GET + field + b"\r\n\r\n"
        step = -(-len(raw) // segments)
        with connection_from(gate.server.port) as client:
            for start in range(0, len(raw), step):
                client.send(raw[start : start + step])
            assert client.response().status == 431

    def test_one_that_is_just_small_enough_is_served(self, gate: Guarded) -> None:
        with connection_from(gate.server.port) as client:
            client.send(GET + b"X-Large: " + b"x" * (HEAD_BYTES - 100) + b"\r\n\r\n")
            assert client.response(verb="GET").status == 200

    def test_white_space_and_lines_without_an_end_are_counted_too(self, gate: Guarded) -> None:
        with connect(gate.server.port) as hostile:
            hostile.sendall(GET + b"X-Blank:")
            send_until_ended(hostile, b" " * 10_000, ATTACK_SECONDS)
            assert RawConnection(hostile).response().status == 431

    def test_so_are_fields_however_short(self, gate: Guarded) -> None:
        with connection_from(gate.server.port) as client:
            client.send(GET + b"A: b\r\n" * 300 + b"\r\n")
            assert client.response().status == 431

    def test_a_target_is_of_16_kib_at_most(self, gate: Guarded) -> None:
        with connection_from(gate.server.port) as client:
            client.send(b"GET /healthz?" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.response().status == 414

    @pytest.mark.parametrize("line", [b"GET" * 50_000, b"GET /\xff HTTP/1.1", b"GET / HTTP/9.9", b"\0" * 100])
    def test_what_is_no_request_line_is_refused(self, gate: Guarded, line: bytes) -> None:
        with connection_from(gate.server.port) as client:
            client.send(line + b"\r\nHost: localhost\r\n\r\n")
            assert client.response().status == 400


@pytest.mark.parametrize(
    "lines",
    [
        [("Content-Length", "5"), CHUNKED],
        [CHUNKED, ("Content-Length", "5")],
        [("Content-Length", "5"), ("Content-Length", "5")],
        [("Content-Length", "9" * 30)],
        [("Content-Length", "+5")],
        [("Transfer-Encoding", "gzip, chunked"), ("Transfer-Encoding", "identity")],
    ],
)
def test_a_body_whose_end_is_ambiguous_is_refused_and_nothing_behind_it_is_served(
    gate: Guarded, lines: list[HeaderLine]
) -> None:
    with connection_from(gate.server.port) as client:
        client.send(post(gate, *lines) + b"0\r\n\r\n" + GET + b"\r\n")
        received = client.received()
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


class TestPipelines:
    def test_requests_wait_with_the_client_and_not_with_the_server(self, gate: Guarded) -> None:
        """Behind a long-running call, the server reads no more requests."""
        asked = 20_000
        hold = request(1, "tools/call", {"name": "hold", "arguments": {"key": "pipeline"}})
        with gate.client() as client:
            session = ("Mcp-Session-Id", gate.session(client))
        with (
            growing_by_less_than(MEMORY // 2, gate.server.child.pid),
            neighbour(gate.server) as other,
            connect(gate.server.port) as hostile,
        ):
            hostile.sendall(raw_post(gate.server.port, hold, session))
            assert send_until_ended(hostile, (GET + b"\r\n") * asked, ATTACK_SECONDS) > HEAD_BYTES
        assert (other.worst < QUICK, other.failures) == (True, [])

    def test_many_in_one_segment_are_answered_in_their_order(self, gate: Guarded) -> None:
        paths = ["/healthz", "/nowhere"] * 200
        raw = b"".join(raw_request("GET", path, "localhost") for path in paths)
        with connection_from(gate.server.port) as client, neighbour(gate.server) as other:
            client.send(raw + LAST)
            assert statuses(client) == [*[200, 404] * 200, 200]
        assert (other.worst < QUICK, other.failures) == (True, [])

    @pytest.mark.parametrize("unit", [b"1\r\n \r\n", GET + b"\r\n"])
    def test_tiny_parts_at_full_speed_starve_nobody(self, gate: Guarded, unit: bytes) -> None:
        opening = post(gate, CHUNKED) if unit.startswith(b"1") else b""
        with neighbour(gate.server) as other, connect(gate.server.port) as hostile:
            hostile.sendall(opening)
            assert send_until_ended(hostile, unit * 10_000, 2 * ATTACK_SECONDS) > 0
        assert other.answers > 5
        assert (other.worst < QUICK, other.failures) == (True, [])


class TestEarlyAnswers:
    """The server responds before the whole body has arrived."""

    def test_a_short_rest_is_dropped_and_the_connection_goes_on(self, gate: Guarded) -> None:
        with connection_from(gate.server.port) as client:
            client.send(raw_request("GET", "/healthz", "localhost", [("Content-Length", "100000")]))
            assert client.response(verb="GET").status == 200
            client.send(b"x" * 100_000, GET, b"\r\n")
            assert client.response(verb="GET").status == 200

    @pytest.mark.parametrize("length", [("Content-Length", str(10**12)), CHUNKED])
    def test_a_long_one_ends_the_connection_after_the_answer(self, gate: Guarded, length: HeaderLine) -> None:
        part = b"10000\r\n" + b"x" * 0x10000 + b"\r\n" if length is CHUNKED else b"x" * 0x10000
        with growing_by_less_than(MEMORY, gate.server.child.pid), connect(gate.server.port) as hostile:
            hostile.sendall(raw_request("GET", "/healthz", "localhost", [length]))
            sent = send_until_ended(hostile, part, PATIENCE)
            received = RawConnection(hostile).received()
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.count(b"HTTP/1.1 ") == 1
        assert sent < MEMORY

    def test_a_client_that_waits_to_be_told_to_go_on_is_hung_up_on_after_the_answer(self, gate: Guarded) -> None:
        """The server cannot know whether the body still follows: it could mistake the next request for it."""
        with connection_from(gate.server.port) as client:
            lines = [("Content-Length", "10"), ("Expect", "100-continue")]
            client.send(raw_request("GET", "/healthz", "localhost", lines) + GET + b"\r\n")
            received = client.received()
        assert received.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in received


def test_bodies_that_do_not_come_to_their_end_hold_little_memory_together(gate: Guarded) -> None:
    almost = b" " * 4_000_000
    with growing_by_less_than(MEMORY, gate.server.child.pid), neighbour(gate.server) as other:
        opened = [connect(gate.server.port) for _ in range(30)]
        try:
            for hostile in opened:
                hostile.sendall(post(gate, ("Content-Length", str(len(almost) + 1))))
            for hostile in opened:
                send_until_ended(hostile, almost, 0.1)
        finally:
            for hostile in opened:
                hostile.close()
    assert (other.worst < QUICK, other.failures) == (True, [])


def test_an_upgrade_with_a_body_is_refused(gate: Guarded) -> None:
    frames = b"\x81\x80\0\0\0\0"
    with connection_from(gate.server.port) as client:
        client.send(raw_request("GET", "/ws", "localhost", [*UPGRADE, ("Content-Length", "6")]) + frames)
        assert client.response().status == 400


def test_an_upgrade_that_is_not_offered_is_not_taken_up(gate: Guarded) -> None:
    lines = [("Connection", "Upgrade"), ("Upgrade", "h2c")]
    with connection_from(gate.server.port) as client:
        client.send(raw_request("GET", "/healthz", "localhost", lines) + LAST)
        assert statuses(client) == [200, 200]


def test_http_1_0_connections_end_with_their_answer(gate: Guarded) -> None:
    with connection_from(gate.server.port) as client:
        client.send(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n" * 2)
        received = client.received()
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert b"connection: close" in received
