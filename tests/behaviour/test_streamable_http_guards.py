"""Streamable HTTP security: Origin and Host on every route, and the bound address.

Sources: transports, Security Warning (2025-03-26 to 2025-11-25) and Security & Endpoint (2026-07-28); RFC 9112, 3.2.
Every request is written byte by byte, so that Origin and Host are spoofed one at a time.
"""

import socket

import pytest

from tests.behaviour.matrix import BY_PROXY
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.host_validation_cases import (
    EVIL,
    REFUSED_HOSTS,
    REFUSED_ORIGINS,
    SERVED_HOSTS,
    TRUSTED_ORIGINS,
    filled,
)
from tests.support.processes import LOOPBACK, HttpServer, child, free_port, http_server
from tests.support.raw_http import RawResponse, raw_connection
from tests.support.streamable_http import INITIALIZE, UPGRADE, HeaderLine, answer, raw_post, raw_request

ROUTES = (
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("OPTIONS", "/mcp"),
    ("PUT", "/mcp"),
    ("HEAD", "/mcp"),
    ("GET", "/ws"),
    ("GET", "/sse"),
    ("POST", "/messages"),
    pytest.param("GET", "/healthz", marks=BY_PROXY),
    pytest.param("POST", "/healthz", marks=BY_PROXY),
    ("GET", "/"),
    ("GET", "/nowhere"),
    ("POST", "/"),
)


def initialize(server: HttpServer, host: str | None, *headers: HeaderLine) -> RawResponse:
    usual = (("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"))
    return answer(server, raw_request("POST", "/mcp", host, [*usual, *headers], INITIALIZE))


@pytest.mark.parametrize("origin", TRUSTED_ORIGINS)
def test_a_page_of_this_machine_and_this_port_is_served(server: HttpServer, origin: str) -> None:
    """R42."""
    assert initialize(server, f"{LOOPBACK}:{server.port}", ("Origin", filled(origin, server))).status == 200


def test_a_request_without_an_origin_is_served(server: HttpServer) -> None:
    """R42: programs other than browsers send no Origin."""
    assert initialize(server, f"{LOOPBACK}:{server.port}").status == 200


@pytest.mark.parametrize("origin", REFUSED_ORIGINS)
def test_any_other_origin_is_refused_with_403_while_the_host_is_right(server: HttpServer, origin: str) -> None:
    """R42: the Origin alone is decisive."""
    before = server.sessions()
    reply = initialize(server, f"{LOOPBACK}:{server.port}", ("Origin", filled(origin, server)))
    assert (reply.status, server.sessions()) == (403, before)


def test_an_origin_that_stands_twice_is_refused_with_403(server: HttpServer) -> None:
    """R42: a present but invalid Origin gets 403, whichever of the two comes first."""
    good = f"http://{LOOPBACK}:{server.port}"
    reply = initialize(server, f"{LOOPBACK}:{server.port}", ("Origin", good), ("Origin", EVIL))
    assert reply.status == 403


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_an_evil_origin_is_refused_on_every_route(server: HttpServer, verb: str, path: str) -> None:
    """R42, R43, R48."""
    raw = raw_request(verb, path, f"{LOOPBACK}:{server.port}", [("Origin", EVIL), ("Accept", "*/*")])
    assert answer(server, raw, verb).status == 403


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_an_evil_host_is_refused_on_every_route(server: HttpServer, verb: str, path: str) -> None:
    """R43: this prevents DNS rebinding when a browser sends no Origin."""
    raw = raw_request(verb, path, f"evil.example:{server.port}", [("Accept", "*/*")])
    assert answer(server, raw, verb).status == 403


@pytest.mark.parametrize("path", ["/mcp", "/ws", "/sse", pytest.param("/healthz", marks=BY_PROXY), "/", "/nowhere"])
def test_an_evil_origin_is_refused_at_an_upgrade_to_a_websocket(server: HttpServer, path: str) -> None:
    """R43."""
    raw = raw_request("GET", path, f"{LOOPBACK}:{server.port}", [*UPGRADE, ("Origin", EVIL)])
    assert answer(server, raw, "GET").status == 403


@pytest.mark.parametrize("host", SERVED_HOSTS)
def test_a_loopback_name_is_served_with_or_without_a_port(server: HttpServer, host: str) -> None:
    """R43."""
    assert initialize(server, filled(host, server)).status == 200


@pytest.mark.parametrize(
    "host", [pytest.param(host, marks=BY_PROXY if host == "::1" else ()) for host in REFUSED_HOSTS]
)
def test_any_other_host_is_refused_with_403(server: HttpServer, host: str) -> None:
    """R43."""
    assert initialize(server, filled(host, server)).status == 403


@pytest.mark.parametrize("hosts", [(), (f"{LOOPBACK}:1", f"{LOOPBACK}:2")], ids=["none", "two"])
def test_a_request_with_no_host_or_with_two_is_malformed(server: HttpServer, hosts: tuple[str, ...]) -> None:
    """R43; RFC 9112, 3.2."""
    assert initialize(server, None, *(("Host", host) for host in hosts)).status == 400


def test_a_refused_request_leaves_its_connection_usable(server: HttpServer) -> None:
    """R42, R43."""
    good = raw_post(server.port, INITIALIZE)
    with raw_connection(server.port) as connection:
        for raw in (
            raw_post(server.port, INITIALIZE, ("Origin", EVIL)),
            raw_request("POST", "/mcp", "evil.example", [("Content-Type", "application/json")], INITIALIZE),
            raw_request("GET", "/mcp", f"{LOOPBACK}:{server.port}", [("Origin", "null")]),
        ):
            connection.send(raw)
            assert connection.response().status == 403
            connection.send(good)
            assert connection.response().status == 200


def test_configured_hosts_and_origins_are_served_exactly() -> None:
    """R42, R43: only exact matches of the configured names are allowed."""
    allowed = {
        "allowed_hosts": ["mcp.example", "only.example:8443"],
        "allowed_origins": ["https://app.example", "http://tools.example:3000"],
    }
    with http_server({"server": allowed, "security": {"require_key": False}}) as server:
        own = f"{LOOPBACK}:{server.port}"
        hosts = {"mcp.example": 200, "mcp.example:99": 200, "only.example:8443": 200, "only.example:8444": 403}
        hosts |= {"only.example": 403, "x.mcp.example": 403, "mcp.example.evil": 403, "mcp.example.": 403}
        assert {host: initialize(server, host).status for host in hosts} == hosts
        origins = {"https://app.example": 200, "http://tools.example:3000": 200, "http://app.example": 403}
        origins |= {"https://app.example:444": 403, "https://x.app.example": 403, "http://tools.example": 403}
        origins |= {"https://app.example.evil": 403, "null": 403, f"http://{own}": 200}
        assert {origin: initialize(server, own, ("Origin", origin)).status for origin in origins} == origins


def test_the_origin_of_a_served_host_is_trusted_with_and_without_tls() -> None:
    """R42: a page of the server itself needs no setting; a proxy may end TLS in front of it."""
    hosts = {"allowed_hosts": ["mcp.example"], "trusted_proxies": [LOOPBACK]}
    with http_server({"server": hosts, "security": {"require_key": False}}) as server:
        for host, origin, status in (
            ("mcp.example", "http://mcp.example", 200),
            ("mcp.example", "https://mcp.example", 200),
            ("mcp.example:443", "https://mcp.example", 200),
            ("mcp.example:8443", "https://mcp.example:8443", 200),
            ("mcp.example", "https://mcp.example:8443", 403),
            ("mcp.example:8443", "https://mcp.example", 403),
            ("mcp.example", "https://x.mcp.example", 403),
            ("mcp.example", "https://mcp.example.evil", 403),
            ("mcp.example", "wss://mcp.example", 403),
            (f"{LOOPBACK}:{server.port}", "https://mcp.example", 403),
        ):
            assert initialize(server, host, ("Origin", origin)).status == status, (host, origin)


def test_the_server_listens_on_the_loopback_interface_unless_told_otherwise() -> None:
    """R43: connections to another address of this machine, which 0.0.0.0 would include, are refused."""
    port = free_port()
    with child(["serve", "--transport", "http", "--port", str(port)]) as running:

        def serves() -> bool:
            assert running.process.poll() is None, running.stderr()
            with socket.socket() as probe:
                return probe.connect_ex((LOOPBACK, port)) == 0

        wait_until(serves, "the default address is bound", 2 * PATIENCE)
        with socket.socket() as elsewhere:
            elsewhere.settimeout(1.0)
            assert elsewhere.connect_ex(("127.0.0.2", port)) != 0
