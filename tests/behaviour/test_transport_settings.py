"""Network transports: one port serves all of them, each can be disabled, and two can be served alone."""

from collections.abc import Callable, Mapping, Set
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.one_run import run_together
from tests.support.conversations import Conversation
from tests.support.envelopes import LATEST_HANDSHAKE
from tests.support.http_conversation import HttpConversation
from tests.support.processes import LOOPBACK, HttpServer, http_server
from tests.support.raw_http import raw_connection
from tests.support.sse_conversation import SseConversation
from tests.support.streamable_http import UPGRADE, raw_request
from tests.support.websocket_conversation import WebSocketConversation

Opening = Callable[[HttpServer, str], Conversation]
TRANSPORTS: Mapping[str, Opening] = {
    "streamable_http": HttpConversation,
    "websocket": WebSocketConversation,
    "sse": SseConversation,
}
PATHS = {
    "streamable_http": [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp")],
    "websocket": [("GET", "/ws"), ("POST", "/ws")],
    "sse": [("GET", "/sse"), ("POST", "/sse"), ("GET", "/messages"), ("POST", "/messages?session_id=x")],
}
PAGE = ("/", "/playground/playground.js", "/playground/playground.css")
NOTHING_LEFT = {
    "http": {"streamable_http", "websocket", "sse"},
    "all": {"streamable_http", "websocket", "sse"},
    "websocket": {"websocket"},
    "sse": {"sse"},
}


def status(server: HttpServer, verb: str, path: str, upgrade: bool = False) -> int:
    with raw_connection(server.port) as connection:
        connection.send(raw_request(verb, path, LOOPBACK, UPGRADE if upgrade else ()))
        return connection.response(verb=verb).status


def serves_exactly(server: HttpServer, transports: Set[str]) -> None:
    """Check that these transports serve a handshake and a call, and that the paths of the others get 404."""
    for transport in TRANSPORTS.keys() - transports:
        assert {path: status(server, *path) for path in PATHS[transport]} == dict.fromkeys(PATHS[transport], 404)
    if "websocket" not in transports:
        assert status(server, "GET", "/ws", upgrade=True) == 404
    for transport in transports:
        with closing(TRANSPORTS[transport](server, LATEST_HANDSHAKE)) as conversation:
            conversation.handshake()
            assert conversation.text("echo", {"message": transport}) == transport
    assert status(server, "GET", "/healthz") == 200


@pytest.mark.parametrize("off", TRANSPORTS)
def test_a_transport_that_is_switched_off_is_not_there_and_the_rest_is(off: str) -> None:
    with http_server({"server": {off: False}}) as server:
        serves_exactly(server, TRANSPORTS.keys() - {off})
        expected = 404 if off == "websocket" else 200  # the page needs WebSocket
        assert {path: status(server, "GET", path) for path in PAGE} == dict.fromkeys(PAGE, expected)


def test_the_playground_can_be_switched_off() -> None:
    with http_server({"server": {"playground": False}}) as server:
        serves_exactly(server, TRANSPORTS.keys())
        assert {path: status(server, "GET", path) for path in PAGE} == dict.fromkeys(PAGE, 404)


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_a_transport_can_be_served_alone(transport: str) -> None:
    with http_server(arguments=["--transport", transport]) as server:
        serves_exactly(server, {transport})


def test_what_leaves_nothing_to_serve_is_one_clear_error(tmp_path: Path) -> None:
    """The error names the settings to change."""
    lines: list[list[str | Path]] = []
    for transport, off in NOTHING_LEFT.items():
        config = tmp_path / f"{transport}.yaml"
        config.write_text(f"server: {{{', '.join(f'{transport}: false' for transport in off)}, port: 0}}\n")
        lines.append(["serve", "--transport", transport, "--config", config])
    for (transport, off), outcome in zip(NOTHING_LEFT.items(), run_together(lines, directory=tmp_path), strict=True):
        assert "Nothing is left to serve" in outcome.only_complaint, transport
        for switch in off:
            assert f"server.{switch}" in outcome.only_complaint
