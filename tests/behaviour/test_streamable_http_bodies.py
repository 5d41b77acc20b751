"""Streamable HTTP bodies: size limits and wrong lengths.

Sources: RFC 9110 and 9112. Every request is written byte by byte. `test_slow_clients` covers slow bodies.
"""

import json

import pytest

from tests.behaviour.matrix import BY_PROXY
from tests.support.envelopes import (
    notification,
)
from tests.support.http_client import JSON, HttpClient
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import chunk, head, raw_connection
from tests.support.streamable_http import ACCEPT, INITIALIZE, answer, raw_post, still_serves

LIMIT = 65536
SETTINGS = {"server_max_body_bytes": LIMIT}


def padded(size: int) -> bytes:
    """Return an `initialize` request padded to exactly `size` bytes."""
    raw = json.dumps(INITIALIZE).encode()
    return raw + b" " * (size - len(raw))


def test_a_body_of_exactly_the_limit_is_served(server: HttpServer) -> None:
    """R47."""
    assert answer(server, raw_post(server.port, padded(LIMIT))).status == 200


@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT, 128 * LIMIT], ids=["one more", "twice", "8 MiB"])
def test_a_body_over_the_limit_is_answered_with_413_even_to_a_client_that_sends_it_all_first(
    server: HttpServer, size: int
) -> None:
    """R47: the client can read the response; no connection reset discards it."""
    assert answer(server, raw_post(server.port, padded(size))).status == 413


def test_the_connection_goes_on_after_a_body_over_the_limit(server: HttpServer) -> None:
    """R47."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, padded(LIMIT + 1)))
        assert connection.response().status == 413
        assert still_serves(connection, server)


@pytest.mark.parametrize("size", [LIMIT + 1, 128 * LIMIT], ids=["one more", "8 MiB"])
def test_a_chunked_body_over_the_limit_is_answered_with_413(server: HttpServer, size: int) -> None:
    """R47."""
    body = padded(size)
    parts = b"".join(chunk(body[start : start + 16384]) for start in range(0, size, 16384))
    raw = raw_post(server.port, b"", ("Transfer-Encoding", "chunked")) + parts + chunk(b"")
    assert answer(server, raw).status == 413


@BY_PROXY
def test_a_client_that_asks_before_it_sends_too_much_is_answered_with_413_at_once(server: HttpServer) -> None:
    """R47: without a preceding `100 Continue`."""
    headers = [
        ("Content-Type", JSON),
        ("Accept", ACCEPT),
        ("Content-Length", str(10 * LIMIT)),
        ("Expect", "100-continue"),
    ]
    with raw_connection(server.port) as connection:
        connection.send(head("POST", "/mcp", [("Host", LOOPBACK), *headers]))
        assert connection.line().startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_served(server: HttpServer) -> None:
    """R47."""
    body = json.dumps(INITIALIZE).encode()
    parts = b"".join(chunk(body[start : start + 7]) for start in range(0, len(body), 7))
    raw = raw_post(server.port, b"", ("Transfer-Encoding", "chunked")) + parts + chunk(b"")
    assert answer(server, raw).status == 200


def test_a_truncated_body_is_never_served(server: HttpServer, client: HttpClient) -> None:
    """R47: not even if the received part is a complete message."""
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
    """R47."""
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
        pytest.param([("Transfer-Encoding", "chunked, identity")], marks=BY_PROXY),
    ],
    ids=["negative", "word", "huge", "two", "and chunked", "chunked not last"],
)
def test_a_request_whose_length_is_unclear_is_answered_with_400(
    server: HttpServer, lines: list[tuple[str, str]]
) -> None:
    """R47; RFC 9112, 6.3: this prevents request smuggling through proxies."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, b"{}   ", *lines))
        assert connection.received().startswith(b"HTTP/1.1 400 ")


def test_broken_chunks_are_answered_with_400(server: HttpServer) -> None:
    """R47."""
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, b"", ("Transfer-Encoding", "chunked")), b"zz\r\n{}\r\n")
        assert b"HTTP/1.1 400 " in connection.received()
