"""HTTP+SSE, the transport of 2024-11-05, next to Streamable HTTP.

The tests of all connections also run over it, at every revision. Source: transports, HTTP with SSE (2024-11-05), and
Backwards Compatibility (2025-03-26 and later).
"""

import json
import re
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import FEW
from tests.support.conversations import Conversation, result_of
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, LATEST_HANDSHAKE, STATELESS, initialize_params, request
from tests.support.host_validation_cases import REFUSED_HOSTS, REFUSED_ORIGINS, SERVED_HOSTS, TRUSTED_ORIGINS, filled
from tests.support.http_client import EVENT_STREAM, JSON, http_client
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import RawResponse, raw_connection
from tests.support.services import Services, services
from tests.support.sse_conversation import SseConversation
from tests.support.streamable_http import HeaderLine, raw_request

LIMIT = 64 * 1024
KEEP_ALIVE = 0.2  # seconds
ALLOWED = "https://app.example"
OLDEST = HANDSHAKE_REVISIONS[0]
INITIALIZE = request(1, "initialize", initialize_params(OLDEST))
TYPE = ("Content-Type", JSON)


@pytest.fixture(scope="module")
def own(roots: Path) -> Iterator[Services]:
    """A server on which no other module opens sessions."""
    limits = {"max_body_bytes": LIMIT, "keep_alive_seconds": KEEP_ALIVE, "allowed_origins": [ALLOWED]}
    with services({**settings(roots), "server": limits}) as running:
        yield running


@pytest.fixture(scope="module")
def server(own: Services) -> HttpServer:
    return own.processes.network


@pytest.fixture(scope="module")
def neighbour(own: Services) -> Conversation:
    """A client whose stream stays open while others connect and disconnect."""
    return own.shared("sse", STATELESS)


@pytest.fixture
def client(own: Services) -> Iterator[Any]:
    """A client that has sent nothing yet."""
    with own.connect("sse", OLDEST) as conversation:
        yield conversation


def answer(server: HttpServer, raw: bytes, verb: str = "POST") -> RawResponse:
    with raw_connection(server.port) as connection:
        connection.send(raw)
        return connection.response(verb=verb)


def post(server: HttpServer, path: str, content: object = INITIALIZE, *headers: HeaderLine) -> RawResponse:
    """POST with these headers; a Content-Type or Host among them replaces the default."""
    given = {name.lower(): value for name, value in headers}
    rest = [(name, value) for name, value in headers if name != "Host"]
    lines = rest if "content-type" in given else [TYPE, *rest]
    return answer(server, raw_request("POST", path, given.get("host", LOOPBACK), lines, content))


def status_of_stream(server: HttpServer, host: str, *headers: HeaderLine) -> int:
    """Return the status of a GET of the event stream, without reading its endless body."""
    with socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE) as connection:
        connection.sendall(raw_request("GET", "/sse", host, [("Accept", EVENT_STREAM), *headers]))
        with connection.makefile("rb") as lines:
            return int(lines.readline().split()[1])


# The stream and the endpoint that it names


def test_the_first_event_names_the_endpoint(server: HttpServer) -> None:
    """R101: immediately, and as a path, so that it has the same origin."""
    with httpx.stream("GET", f"{server.origin}/sse", headers={"Accept": EVENT_STREAM}, trust_env=False) as stream:
        assert stream.status_code == HTTPStatus.OK
        assert stream.headers["content-type"].startswith(EVENT_STREAM)
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["cache-control"] in ("no-store", "no-cache", "no-cache, no-transform")
        lines = stream.iter_lines()
        assert next(lines) == "event: endpoint"
        assert re.fullmatch(r"data: messages\?session_id=[\w-]{22,}", next(lines))
        assert next(lines) == ""


def test_endpoints_cannot_be_guessed(own: Services) -> None:
    """R101: neither a counter nor a timestamp; every position has many different characters."""
    names = []
    for _ in range(64):
        with own.connect("sse", OLDEST) as conversation:
            assert isinstance(conversation, SseConversation)
            names.append(conversation.endpoint.partition("=")[2])
    assert len(set(names)) == len(names)
    assert len({len(name) for name in names}) == 1
    varied = [column for column in zip(*names, strict=True) if len(set(column)) >= 5]
    assert len(varied) >= 22


def test_a_post_is_answered_with_202_and_the_reply_is_a_message_event(
    server: HttpServer, client: SseConversation
) -> None:
    """R102."""
    accepted = post(server, client.endpoint)
    assert (accepted.status, accepted.body.strip()) == (202, b"Accepted")
    assert accepted.headers["content-type"].startswith("text/plain")
    assert result_of(client.reply(1))["protocolVersion"] == OLDEST
    assert "mcp-session-id" not in accepted.headers
    client.notify("notifications/initialized")
    client.cancel("no such request")
    client.answer({"id": "no such question"}, {})
    assert client.statuses == [202] * 3
    assert not client.settle()


def test_a_silent_stream_gets_comments(client: SseConversation) -> None:
    """R63: comments do not disturb the messages after them."""
    wait_until(lambda: len(client.comments) >= 3, "three comments have come")
    client.handshake()
    assert client.text("echo", {"message": "hi"}) == "hi"


# Errors


@pytest.mark.parametrize(
    "path",
    [
        "/messages",
        "/messages?",
        "/messages?session_id=",
        "/messages?session_id=unknown",
        "/messages?session=unknown",
        "/messages?session_id=%00",
        "/messages?session_id=../../etc/passwd",
    ],
)
def test_a_session_that_is_unknown_or_missing_is_answered_with_404(server: HttpServer, path: str) -> None:
    """R103."""
    reply = post(server, path)
    assert reply.status == 404
    assert b"session_id" in reply.body


def test_a_session_that_is_named_twice_is_answered_with_404(server: HttpServer, own: Services) -> None:
    """R103: the server uses neither of the two."""
    with own.connect("sse", OLDEST) as one, own.connect("sse", OLDEST) as other:
        assert isinstance(one, SseConversation)
        assert isinstance(other, SseConversation)
        twice = f"{one.endpoint}&{other.endpoint.partition('?')[2]}"
        assert post(server, twice).status == 404
        assert post(server, f"{one.endpoint}&{one.endpoint.partition('?')[2]}").status == 404
        for conversation in (one, other):
            conversation.handshake()
            assert not conversation.settle()


def test_somebody_elses_names_lead_nowhere(server: HttpServer, client: SseConversation) -> None:
    """R103: a path that merely resembles the endpoint is refused."""
    name = client.endpoint.partition("=")[2]
    for wrong in (name[:-1], f"{name}x", name.swapcase(), f"{name}%20", f"{name}/"):
        assert post(server, f"/messages?session_id={wrong}").status == 404
    assert post(server, client.endpoint).status == 202


@pytest.mark.parametrize("content", [b"{", b"", b"nonsense", b"\xff", b'{"jsonrpc":"2.0","id":1,"result":{}'], ids=repr)
def test_malformed_json_is_answered_with_400(server: HttpServer, client: SseConversation, content: bytes) -> None:
    """R103: no request on the stream waits for a response to it."""
    reply = post(server, client.endpoint, content, ("Content-Length", str(len(content))))
    assert (reply.status, reply.headers["content-type"]) == (400, JSON)
    assert json.loads(reply.body)["error"]["code"] == -32700
    client.handshake()
    assert not client.settle()


@pytest.mark.parametrize("content", [7, [], {}, {"jsonrpc": "1.0", "method": "x"}, request(None, "ping")], ids=repr)
def test_json_that_is_no_message_is_answered_with_400(
    server: HttpServer, client: SseConversation, content: object
) -> None:
    """R4, R103."""
    reply = post(server, client.endpoint, json.dumps(content).encode())
    assert reply.status == 400
    assert json.loads(reply.body)["error"]["code"] == -32600
    client.handshake()
    assert not client.settle()


@pytest.mark.parametrize(
    "line",
    [
        ("Content-Type", "text/plain"),
        ("Content-Type", ""),
        ("Content-Type", "application/json; charset=latin-1"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Encoding", "gzip"),
    ],
)
def test_another_kind_of_content_is_answered_with_415(
    server: HttpServer, client: SseConversation, line: HeaderLine
) -> None:
    """R46."""
    assert post(server, client.endpoint, INITIALIZE, line).status == 415
    client.handshake()
    assert not client.settle()


@pytest.mark.parametrize("charset", ["UTF-8", "utf8", '"utf-8"', "'UTF8'"])
def test_a_charset_may_be_named(server: HttpServer, client: SseConversation, charset: str) -> None:
    """R46."""
    assert post(server, client.endpoint, INITIALIZE, ("Content-Type", f"{JSON}; charset={charset}")).status == 202
    client.reply(1)


def test_a_body_that_is_too_large_is_answered_with_413(server: HttpServer, client: SseConversation) -> None:
    """R47."""
    large = {**INITIALIZE, "padding": "x" * LIMIT}
    assert post(server, client.endpoint, large).status == 413
    client.handshake()
    assert not client.settle()


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_the_stream_has_one_method(server: HttpServer, verb: str) -> None:
    """R48."""
    refused = answer(server, raw_request(verb, "/sse", LOOPBACK), verb)
    assert (refused.status, refused.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_the_endpoint_has_one_method(server: HttpServer, client: SseConversation, verb: str) -> None:
    """R48."""
    refused = answer(server, raw_request(verb, client.endpoint, LOOPBACK), verb)
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("origin", [*TRUSTED_ORIGINS, ALLOWED])
def test_a_trusted_origin_is_let_in(server: HttpServer, client: SseConversation, origin: str) -> None:
    """R42, R43."""
    line = ("Origin", filled(origin, server))
    host = f"{LOOPBACK}:{server.port}"
    assert status_of_stream(server, host, line) == 200
    assert post(server, client.endpoint, INITIALIZE, line, ("Host", host)).status == 202


@pytest.mark.parametrize("origin", REFUSED_ORIGINS)
def test_any_other_origin_is_refused_on_both_endpoints(
    server: HttpServer, client: SseConversation, origin: str
) -> None:
    """R42, R43, R103."""
    line = ("Origin", filled(origin, server))
    host = f"{LOOPBACK}:{server.port}"
    assert status_of_stream(server, host, line) == 403
    assert post(server, client.endpoint, INITIALIZE, line, ("Host", host)).status == 403


@pytest.mark.parametrize("host", SERVED_HOSTS)
def test_a_served_host_is_let_in(server: HttpServer, client: SseConversation, host: str) -> None:
    """R43."""
    assert status_of_stream(server, filled(host, server)) == 200
    assert post(server, client.endpoint, INITIALIZE, ("Host", filled(host, server))).status == 202


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_any_other_host_is_refused_on_both_endpoints(server: HttpServer, client: SseConversation, host: str) -> None:
    """R43."""
    assert status_of_stream(server, filled(host, server)) == 403
    assert post(server, client.endpoint, INITIALIZE, ("Host", filled(host, server))).status == 403


# The end of a stream


@pytest.mark.parametrize("revision", FEW)
@pytest.mark.parametrize("manner", ["close", "half-close"])
def test_a_client_that_leaves_takes_along_what_runs_for_it(
    own: Services, neighbour: Conversation, key: str, revision: str, manner: str
) -> None:
    """R103."""
    with own.fresh("sse", revision) as leaving:
        assert isinstance(leaving, SseConversation)
        leaving.start_tool("hold", {"key": key})
        leaving.text("story", {"key": key, "until": "held"})
        leaving.hang_up(socket.SHUT_RDWR if manner == "close" else socket.SHUT_WR)
        assert neighbour.text("story", {"key": key, "until": "cancelled"}) == "held, cancelled"


def test_the_end_of_a_stream_ends_its_session_and_its_endpoint(own: Services, server: HttpServer) -> None:
    """R103."""
    before = server.sessions()
    with own.fresh("sse", LATEST_HANDSHAKE) as leaving:
        assert isinstance(leaving, SseConversation)
        assert server.sessions() == before + 1
    wait_until(lambda: server.sessions() == before, "the session has ended")
    wait_until(lambda: post(server, leaving.endpoint).status == 404, "the endpoint is gone")
    assert server.sessions() == before


def test_a_message_whose_stream_ends_before_it_has_arrived_is_answered_with_404(
    own: Services, server: HttpServer
) -> None:
    """R103: its slow body opens no session that no client could use or end."""
    before = server.sessions()
    content = json.dumps(INITIALIZE).encode()
    with raw_connection(server.port) as connection:
        with own.connect("sse", OLDEST) as leaving:
            assert isinstance(leaving, SseConversation)
            length = ("Content-Length", str(len(content)))
            connection.send(raw_request("POST", leaving.endpoint, LOOPBACK, [TYPE, length], content[:-1]))
            leaving.handshake()
        wait_until(lambda: post(server, leaving.endpoint).status == 404, "the endpoint is gone")
        wait_until(lambda: server.sessions() == before, "the session has ended")
        connection.send(content[-1:])
        assert connection.response().status == 404
    assert server.sessions() == before


def test_shutdown_is_answered_and_then_the_stream_ends(own: Services, server: HttpServer) -> None:
    with own.fresh("sse", LATEST_HANDSHAKE) as ending:
        assert isinstance(ending, SseConversation)
        assert ending.result("shutdown") == {}
        assert not ending.await_end()
        assert ending.complete
        wait_until(lambda: post(server, ending.endpoint).status == 404, "the endpoint is gone")


# Next to Streamable HTTP


def test_a_client_of_the_older_transport_finds_no_stream_at_the_newer_endpoint(server: HttpServer) -> None:
    """R104: the newer endpoint refuses GET without a session."""
    with http_client(server.url) as older:
        refused = older.send("GET", None, {"Accept": EVENT_STREAM, "Content-Type": ""})
        assert refused.status == 400
        assert not refused.streamed


@pytest.mark.parametrize("revision", [*HANDSHAKE_REVISIONS, STATELESS])
def test_a_client_of_the_newer_transport_is_told_to_fall_back(server: HttpServer, own: Services, revision: str) -> None:
    """R104: its first POST to the older endpoint gets 405, and then GET opens the stream."""
    with http_client(f"{server.origin}/sse") as newer:
        if revision == STATELESS:
            refused = newer.call_stateless("server/discover")
        else:
            refused = newer.post(request(1, "initialize", initialize_params(revision)))
    assert refused.status == 405
    with own.fresh("sse", revision) as conversation:
        assert conversation.text("echo", {"message": "hi"}) == "hi"


def test_the_newer_endpoint_serves_as_before(server: HttpServer, client: SseConversation) -> None:
    """R104: sessions of the two transports are independent."""
    client.handshake()
    with http_client(server.url) as newer:
        session = newer.handshake()
        with session.listen() as stream:
            assert stream.status == 200
            stream.next_event()
            assert session.call("tools/list").status == 200
        name = client.endpoint.partition("=")[2]
        assert newer.post(request(1, "ping"), {"Mcp-Session-Id": name}).status == 404
        own_id = session.headers["Mcp-Session-Id"]
        assert post(server, f"/messages?session_id={own_id}").status == 404
        assert session.delete().status == 204
    assert not client.settle()
