"""WebSocket: the opening handshake, frames, and the end of a connection (R105).

The tests of all connections (eras, concurrency, server requests, cancellation, subscriptions) also run over it.
Sources: RFC 6455; docs/protocol.md, WebSocket.
"""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

from tests.behaviour.conftest import settings
from tests.behaviour.matrix import FEW
from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, request, stateless_headers, stateless_params
from tests.support.host_validation_cases import (
    EVIL,
    REFUSED_HOSTS,
    REFUSED_ORIGINS,
    SERVED_HOSTS,
    TRUSTED_ORIGINS,
    filled,
)
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import RawResponse, raw_connection
from tests.support.services import Services, services
from tests.support.streamable_http import UPGRADE, HeaderLine, raw_post, raw_request
from tests.support.websocket_conversation import WebSocketConversation, websocket

LIMIT = 64 * 1024
ALLOWED = "https://app.example"
PING = json.dumps(request(1, "ping"))
PONG = {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.fixture(scope="module")
def own(roots: Path) -> Iterator[Services]:
    """A server on which no other module opens sessions."""
    limits = {"max_body_bytes": LIMIT, "allowed_origins": [ALLOWED], "allowed_hosts": ["mcp.example"]}
    open_to_all = {"require_key": False, "anonymous": "all"}  # with a public name, the default requires keys
    with services({**settings(roots), "server": limits, "security": open_to_all}) as running:
        yield running


@pytest.fixture(scope="module")
def server(own: Services) -> HttpServer:
    return own.processes.network


@pytest.fixture(scope="module")
def neighbour(own: Services) -> Conversation:
    """A client whose connection stays open while others connect and disconnect."""
    return own.shared("websocket", STATELESS)


@pytest.fixture
def client(server: HttpServer) -> Iterator[ClientConnection]:
    with websocket(server) as connection:
        yield connection


@pytest.fixture(params=FEW)
def holding(own: Services, neighbour: Conversation, request: pytest.FixtureRequest, key: str) -> Iterator[Any]:
    """A client, of each era in turn, with a call in flight."""
    with own.fresh("websocket", request.param) as conversation:
        conversation.start_tool("hold", {"key": key})
        neighbour.text("story", {"key": key, "until": "held"})
        yield conversation


def served(connection: ClientConnection) -> bool:
    """Return whether the server answers a request."""
    connection.send(PING)
    return bool(json.loads(connection.recv(PATIENCE)) == PONG)


def code_at_the_end(connection: ClientConnection) -> int:
    """Wait for the end of the connection and return the server's close code."""
    with pytest.raises(ConnectionClosed):
        connection.recv(PATIENCE)
    close = connection.protocol.close_rcvd
    assert close is not None
    return close.code


def handshake(server: HttpServer, host: str | None, *headers: HeaderLine) -> RawResponse:
    with raw_connection(server.port) as connection:
        connection.send(raw_request("GET", "/ws", host, [*UPGRADE, *headers]))
        return connection.response(verb="GET")


# The handshake


@pytest.mark.parametrize("offered", [["mcp"], ["graphql-ws", "mcp"], ["mcp", "chat"]])
def test_the_subprotocol_is_chosen_where_it_is_offered(server: HttpServer, offered: list[str]) -> None:
    with websocket(server, subprotocols=[Subprotocol(name) for name in offered]) as connection:
        assert connection.subprotocol == "mcp"
        assert served(connection)


def test_no_subprotocol_is_chosen_where_none_is_offered(server: HttpServer) -> None:
    with websocket(server, subprotocols=None) as connection:
        assert connection.subprotocol is None
        assert served(connection)


@pytest.mark.parametrize("offered", ["graphql-ws", "MCP", "mcp2", "chat, superchat"])
def test_a_client_that_offers_other_subprotocols_only_is_refused(server: HttpServer, offered: str) -> None:
    refusal = handshake(server, f"{LOOPBACK}:{server.port}", ("Sec-WebSocket-Protocol", offered))
    assert refusal.status == 400
    assert b"mcp" in refusal.body


def test_compression_is_not_negotiated_even_where_it_is_offered(server: HttpServer) -> None:
    with websocket(server, compression="deflate") as connection:
        assert connection.request is not None
        assert connection.response is not None
        assert "permessage-deflate" in connection.request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
        assert served(connection)


@pytest.mark.parametrize("origin", [*TRUSTED_ORIGINS, ALLOWED])
def test_a_trusted_origin_is_let_in(server: HttpServer, origin: str) -> None:
    """R43: the same Origins as over HTTP."""
    answer = handshake(server, f"{LOOPBACK}:{server.port}", ("Origin", filled(origin, server)))
    assert answer.status == 101


@pytest.mark.parametrize("origin", [*REFUSED_ORIGINS, f"{ALLOWED}.evil", "https://x.app.example", "wss://app.example"])
def test_any_other_origin_is_refused_before_the_upgrade(server: HttpServer, origin: str) -> None:
    """R43: including `null`."""
    answer = handshake(server, f"{LOOPBACK}:{server.port}", ("Origin", filled(origin, server)))
    assert answer.status == 403
    assert "upgrade" not in answer.headers


@pytest.mark.parametrize("host", [*SERVED_HOSTS, "mcp.example"])
def test_a_served_host_is_let_in(server: HttpServer, host: str) -> None:
    """R43."""
    assert handshake(server, filled(host, server)).status == 101


@pytest.mark.parametrize("host", [*REFUSED_HOSTS, "x.mcp.example"])
def test_any_other_host_is_refused_before_the_upgrade(server: HttpServer, host: str) -> None:
    """R43."""
    assert handshake(server, filled(host, server)).status == 403


@pytest.mark.parametrize("hosts", [(), (f"{LOOPBACK}:1", f"{LOOPBACK}:2")], ids=["none", "two"])
def test_a_handshake_with_no_host_or_with_two_is_malformed(server: HttpServer, hosts: tuple[str, ...]) -> None:
    """R43; RFC 9112, 3.2."""
    assert handshake(server, None, *(("Host", host) for host in hosts)).status == 400


def test_a_refusal_says_what_to_change(server: HttpServer) -> None:
    with pytest.raises(InvalidStatus) as refusal, websocket(server, origin=EVIL):
        pass
    assert b"server.allowed_origins" in (refusal.value.response.body or b"")


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "OPTIONS"])
def test_a_plain_request_is_told_to_upgrade(server: HttpServer, verb: str) -> None:
    with raw_connection(server.port) as connection:
        connection.send(raw_request(verb, "/ws", LOOPBACK))
        answer = connection.response(verb=verb)
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        connection.send(raw_request("GET", "/healthz", LOOPBACK))
        assert connection.response(verb="GET").status == 200


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages", "/healthz", "/", "/ws//", "/nowhere"])
def test_there_is_no_websocket_at_other_paths(server: HttpServer, path: str) -> None:
    with raw_connection(server.port) as connection:
        connection.send(raw_request("GET", path, LOOPBACK, UPGRADE))
        assert connection.response(verb="GET").status == 404


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_half_a_handshake_is_refused(server: HttpServer, missing: str) -> None:
    rest = [line for line in UPGRADE if line[0] != missing]
    with raw_connection(server.port) as connection:
        connection.send(raw_request("GET", "/ws", LOOPBACK, rest))
        assert connection.response(verb="GET").status in (400, 426)


# Frames


def test_every_message_is_one_text_frame(client: ClientConnection) -> None:
    """Also with newlines inside, and at any size."""
    messages = [request(number, "ping") for number in range(3)]
    client.send(json.dumps(messages[0], indent=2))
    client.send(f"\n {json.dumps(messages[1])}\r\n")
    client.send(json.dumps({**messages[2], "params": {"_meta": {"padding": "x" * 20_000}}}))
    frames = [client.recv(PATIENCE) for _ in messages]
    assert all(isinstance(frame, str) for frame in frames)
    assert sorted(json.loads(frame)["id"] for frame in frames) == [0, 1, 2]


def test_two_messages_in_one_frame_are_no_message(client: ClientConnection) -> None:
    client.send(f"{PING}\n{PING}")
    assert json.loads(client.recv(PATIENCE))["error"]["code"] == -32700
    assert served(client)


def test_a_fragmented_message_is_put_together(client: ClientConnection) -> None:
    """RFC 6455, 5.4: split anywhere, even inside a character, with a ping between the fragments."""
    message = request("äöü", "ping")
    whole = json.dumps(message, ensure_ascii=False).encode()
    cut = whole.index("ö".encode()) + 1

    def fragments() -> Iterator[bytes]:
        yield whole[:5]
        yield b""
        assert client.ping().wait(PATIENCE)
        yield whole[5:cut]
        yield from (whole[index : index + 1] for index in range(cut, len(whole)))

    client.send(fragments(), text=True)
    assert json.loads(client.recv(PATIENCE)) == {"jsonrpc": "2.0", "id": "äöü", "result": {}}


@pytest.mark.parametrize("frame", ["{", "", " ", "nonsense", '{"jsonrpc":"2.0","id":1,"result":{}'], ids=repr)
def test_malformed_json_gets_an_error_and_the_socket_stays_open(client: ClientConnection, frame: str) -> None:
    client.send(frame)
    reply = json.loads(client.recv(PATIENCE))
    assert reply["error"]["code"] == -32700
    assert reply.get("id") is None
    assert served(client)


def test_a_batch_is_answered_in_one_frame_where_the_revision_has_batches(own: Services) -> None:
    """R8."""
    with own.fresh("websocket", "2025-03-26") as conversation:
        assert isinstance(conversation, WebSocketConversation)
        conversation.send([request("a", "ping"), request("b", "tools/list")])
        assert {conversation.message()["id"] for _ in range(2)} == {"a", "b"}
        assert conversation.last_frame.startswith("[")


@pytest.mark.parametrize("payload", [PING.encode(), b""], ids=repr)
@pytest.mark.parametrize("fragmented", [False, True])
def test_a_binary_frame_ends_the_connection_with_1003(
    client: ClientConnection, payload: bytes, fragmented: bool
) -> None:
    client.send([payload, payload] if fragmented else payload, text=False)
    assert code_at_the_end(client) == 1003


def exactly(size: int, character: str = "x") -> str:
    """Return a message of exactly `size` bytes."""
    message = request(1, "ping", {"_meta": {"padding": ""}})
    characters, rest = divmod(size - len(json.dumps(message)), len(character.encode()))
    message["params"]["_meta"]["padding"] = character * characters + "x" * rest
    return json.dumps(message, ensure_ascii=False)


@pytest.mark.parametrize("character", ["x", "ä"])
def test_the_largest_message_is_served(client: ClientConnection, character: str) -> None:
    for _ in range(2):
        client.send(exactly(LIMIT, character))
        assert json.loads(client.recv(PATIENCE)) == PONG


@pytest.mark.parametrize("character", ["x", "ä"])
@pytest.mark.parametrize("fragments", [1, 7])
def test_a_message_that_is_too_large_ends_the_connection_with_1009(
    client: ClientConnection, character: str, fragments: int
) -> None:
    """The limit counts bytes, not characters, of all fragments together."""
    whole = exactly(LIMIT + 1, character).encode()
    size = -(-len(whole) // fragments)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    with suppress(ConnectionClosed):  # the server may close before the whole message was sent
        client.send(parts if fragments > 1 else whole, text=True)
    assert code_at_the_end(client) == 1009


@pytest.mark.parametrize(
    "fragments",
    [[b'{"jsonrpc":"2.0","id":1,"method":"pi\xffng"}'], [b"\xc3"], [b'{"a":"\xc3', b'"}'], [b"\xed\xa0\x80"]],
    ids=repr,
)
def test_text_that_is_no_utf_8_ends_the_connection_with_1007(client: ClientConnection, fragments: list[bytes]) -> None:
    client.send(fragments if len(fragments) > 1 else fragments[0], text=True)
    assert code_at_the_end(client) == 1007


def test_a_frame_that_breaks_the_protocol_ends_the_connection_with_1002(server: HttpServer) -> None:
    """RFC 6455, 5.1: a client masks its frames."""
    with raw_connection(server.port) as connection:
        connection.send(raw_request("GET", "/ws", LOOPBACK, UPGRADE))
        assert connection.response(verb="GET").status == 101
        connection.send(b"\x81\x02{}")
        last = connection.received()
        assert last[0] == 0x88
        assert struct.unpack("!H", last[2:4]) == (1002,)


def test_a_ping_is_answered_also_while_a_tool_runs(holding: WebSocketConversation) -> None:
    for data in (b"", b"x" * 125):
        assert holding.socket.ping(data).wait(PATIENCE)


# How a connection ends


@pytest.mark.parametrize(
    ("payload", "text", "code"),
    [(b"{}", False, 1003), (b"x" * (LIMIT + 1), True, 1009), (b"\xff", True, 1007)],
    ids=["binary", "too large", "no UTF-8"],
)
def test_a_connection_that_is_ended_for_a_frame_takes_along_what_runs(
    holding: WebSocketConversation, neighbour: Conversation, key: str, payload: bytes, text: bool, code: int
) -> None:
    holding.socket.send(payload, text=text)
    assert neighbour.text("story", {"key": key, "until": "cancelled"}) == "held, cancelled"
    holding.await_end()
    assert holding.closed_with is not None
    assert holding.closed_with.code == code


@pytest.mark.parametrize("manner", ["close", "half-close", "vanish", "reset"])
def test_a_client_that_leaves_takes_along_what_runs_for_it(
    holding: WebSocketConversation, neighbour: Conversation, key: str, manner: str
) -> None:
    """With and without a closing handshake."""
    stream = holding.socket.socket
    if manner == "close":
        holding.socket.close(1001, "the page was left")
    elif manner == "half-close":
        stream.shutdown(socket.SHUT_WR)
    else:
        if manner == "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.shutdown(socket.SHUT_RDWR)
    assert neighbour.text("story", {"key": key, "until": "cancelled"}) == "held, cancelled"


def test_the_end_of_a_connection_ends_its_session(own: Services, server: HttpServer) -> None:
    before = server.sessions()
    with own.fresh("websocket", LATEST_HANDSHAKE), own.fresh("websocket", LATEST_HANDSHAKE) as other:
        assert server.sessions() == before + 2
        other.close()
        wait_until(lambda: server.sessions() == before + 1, "the session has ended")
    wait_until(lambda: server.sessions() == before, "the sessions have ended")


def test_a_connection_without_a_session_leaves_nothing_behind(own: Services, server: HttpServer) -> None:
    """Neither the stateless era nor a silent client opens a session."""
    before = server.sessions()
    with websocket(server), own.fresh("websocket", STATELESS) as conversation:
        conversation.result("tools/list")
        assert server.sessions() == before


def test_shutdown_is_answered_and_then_the_connection_is_closed_with_1000(own: Services) -> None:
    with own.fresh("websocket", LATEST_HANDSHAKE) as conversation:
        assert isinstance(conversation, WebSocketConversation)
        assert conversation.result("shutdown") == {}
        assert not conversation.await_end()
        assert conversation.closed_with is not None
        assert conversation.closed_with.code == 1000


def test_the_server_answers_a_close_with_the_same_code(client: ClientConnection) -> None:
    """RFC 6455, 5.5.1."""
    assert served(client)
    client.close(1001)
    close = client.protocol.close_rcvd
    assert close is not None
    assert close.code == 1001


def test_a_handshake_behind_an_unanswered_request_is_refused(
    server: HttpServer, neighbour: Conversation, key: str
) -> None:
    """The outstanding response must not mix with the frames."""
    call = request(1, "tools/call", stateless_params({"name": "hold", "arguments": {"key": key}}))
    headers = list(stateless_headers(call).items())
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, call, *headers), raw_request("GET", "/ws", LOOPBACK, UPGRADE))
        received = connection.received()
    assert received.startswith(b"HTTP/1.1 400")
    assert b"101" not in received.partition(b"\r\n")[0]
    assert "cancelled" in neighbour.text("story", {"key": key, "until": "cancelled"})
