"""Streamable HTTP and the size of what is sent to it: limits, lies about lengths, slowness (checklist E, item 47).

Sources: RFC 9110 and 9112 for what is plain HTTP. Every request is written byte by byte.
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    initialize_params,
    notification,
    request,
)
from tests.support.http_client import JSON, HttpClient, http_client
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import RawConnection, RawResponse, chunk, head, raw_connection
from tests.support.streamable_http import ACCEPT, raw_post, tools_server

LIMIT = 65536
SLOW_SECONDS = 20.0  # the most that a client may take for one request, by this test's measure
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with tools_server(server_max_body_bytes=LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: HttpServer) -> Iterator[HttpClient]:
    with http_client(server.url) as connected:
        yield connected


@pytest.fixture(scope="module")
def slow_body(server: HttpServer) -> Iterator[RawConnection]:
    """A request whose body never comes to its end, from the start of the module on."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, b'{"jsonrpc"', ("Content-Length", "100")))
        yield connection


@pytest.fixture(scope="module")
def slow_head(server: HttpServer) -> Iterator[RawConnection]:
    """A request whose headers never come to their end, from the start of the module on."""
    with raw_connection(server.port) as connection:
        connection.send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        yield connection


@pytest.fixture(scope="module", autouse=True)
def slow_seconds_left(slow_body: RawConnection, slow_head: RawConnection) -> Callable[[], float]:
    """How long a slow request may still last. They begin before the first test, so that the last ones wait little."""
    end = time.monotonic() + SLOW_SECONDS
    return lambda: max(end - time.monotonic(), 1.0)


def answer(server: HttpServer, raw: bytes, verb: str = "POST") -> RawResponse:
    with raw_connection(server.port) as connection:
        connection.send(raw)
        return connection.response(verb=verb)


def padded(size: int) -> bytes:
    """Return `initialize` in a body of exactly so many bytes."""
    raw = json.dumps(INITIALIZE).encode()
    return raw + b" " * (size - len(raw))


def still_serves(connection: RawConnection, server: HttpServer) -> bool:
    connection.send(raw_post(server.port, INITIALIZE))
    return connection.response().status == 200


def test_a_body_of_exactly_the_limit_is_served(server: HttpServer) -> None:
    """Item 47."""
    assert answer(server, raw_post(server.port, padded(LIMIT))).status == 200


@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT, 128 * LIMIT], ids=["one more", "twice", "8 MiB"])
def test_a_body_over_the_limit_is_answered_with_413_even_to_a_client_that_sends_it_all_first(
    server: HttpServer, size: int
) -> None:
    """Item 47: the answer is there to be read, not lost in a reset of the connection."""
    assert answer(server, raw_post(server.port, padded(size))).status == 413


def test_the_connection_goes_on_after_a_body_over_the_limit(server: HttpServer) -> None:
    """Item 47 (and issue part 4)."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, padded(LIMIT + 1)))
        assert connection.response().status == 413
        assert still_serves(connection, server)


@pytest.mark.parametrize("size", [LIMIT + 1, 128 * LIMIT], ids=["one more", "8 MiB"])
def test_a_chunked_body_over_the_limit_is_answered_with_413(server: HttpServer, size: int) -> None:
    """Item 47."""
    body = padded(size)
    parts = b"".join(chunk(body[start : start + 16384]) for start in range(0, size, 16384))
    raw = raw_post(server.port, b"", ("Transfer-Encoding", "chunked")) + parts + chunk(b"")
    assert answer(server, raw).status == 413


def test_a_client_that_asks_before_it_sends_too_much_is_answered_with_413_at_once(server: HttpServer) -> None:
    """Item 47: no `100 Continue` comes first."""
    headers = [
        ("Content-Type", JSON),
        ("Accept", ACCEPT),
        ("Content-Length", str(10 * LIMIT)),
        ("Expect", "100-continue"),
    ]
    with raw_connection(server.port) as connection:
        connection.send(head("POST", "/mcp", [("Host", LOOPBACK), *headers]))
        assert connection.received().startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_served(server: HttpServer) -> None:
    """Item 47."""
    body = json.dumps(INITIALIZE).encode()
    parts = b"".join(chunk(body[start : start + 7]) for start in range(0, len(body), 7))
    raw = raw_post(server.port, b"", ("Transfer-Encoding", "chunked")) + parts + chunk(b"")
    assert answer(server, raw).status == 200


def test_a_truncated_body_is_never_served(server: HttpServer, client: HttpClient) -> None:
    """Item 47: not even where the part that came is a whole message."""
    session = client.handshake()
    message = json.dumps(notification("notifications/initialized")).encode()
    lines = [*session.headers.items(), ("Content-Length", str(len(message) + 10))]
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, message, *lines))
        connection.finish_sending()
        received = connection.received()
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert session.call("ping").status == 200


def test_a_body_longer_than_it_says_is_cut_there_and_the_rest_is_no_request(server: HttpServer) -> None:
    """Item 47."""
    body = json.dumps(INITIALIZE).encode()
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, body + b"trailing garbage", ("Content-Length", str(len(body)))))
        received = connection.received()
    assert received.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    assert b"HTTP/1.1 400 " in received


@pytest.mark.parametrize(
    "lines",
    [
        [("Content-Length", "-5")],
        [("Content-Length", "ten")],
        [("Content-Length", "9" * 5000)],
        [("Content-Length", "5"), ("Content-Length", "6")],
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked, identity")],
    ],
    ids=["negative", "word", "huge", "two", "and chunked", "chunked not last"],
)
def test_a_request_whose_length_is_unclear_is_answered_with_400(
    server: HttpServer, lines: list[tuple[str, str]]
) -> None:
    """Item 47; RFC 9112, 6.3: nothing can be smuggled past a proxy."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, b"{}   ", *lines))
        assert connection.received().startswith(b"HTTP/1.1 400 ")


def test_broken_chunks_are_answered_with_400(server: HttpServer) -> None:
    """Item 47."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, b"", ("Transfer-Encoding", "chunked")), b"zz\r\n{}\r\n")
        assert b"HTTP/1.1 400 " in connection.received()


# Slow requests; begun with the module, looked at in the end


def test_a_body_that_does_not_come_to_its_end_is_answered_with_408(
    server: HttpServer, slow_body: RawConnection, slow_seconds_left: Callable[[], float]
) -> None:
    """Item 47: and no `ping` of others waits for it."""
    assert answer(server, raw_post(server.port, INITIALIZE)).status == 200
    assert slow_body.response(slow_seconds_left()).status == 408


def test_headers_that_do_not_come_to_their_end_cost_the_connection(
    slow_head: RawConnection, slow_seconds_left: Callable[[], float]
) -> None:
    """Item 47: an answer of 408, or none; but the server does not wait for ever."""
    received = slow_head.received(slow_seconds_left())
    assert received == b"" or received.startswith(b"HTTP/1.1 4")
