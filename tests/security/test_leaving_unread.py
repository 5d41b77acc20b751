"""A client that disconnects while the server does not read from it: its calls are cancelled soon."""

import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.behaviour.conftest import settings
from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject, request, stateless_headers, stateless_params
from tests.support.http_client import HEADERS
from tests.support.processes import LOOPBACK
from tests.support.services import Services, services
from tests.support.stalled_clients import read_until
from tests.support.streamable_http import UPGRADE, raw_request

NOTICED = 3.0  # seconds; the server checks every half second
FILLING = 64 * 1024  # bytes of pipelined requests, more than the server reads ahead


@pytest.fixture(scope="module")
def own(roots: Path) -> Iterator[Services]:
    with services(settings(roots)) as running:
        yield running


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


def call(key: str) -> JsonObject:
    """Return a call that runs until it is cancelled."""
    return request(1, "tools/call", stateless_params({"name": "hold", "arguments": {"key": key}}))


def over_http(own: Services, key: str) -> socket.socket:
    """Send a call and enough pipelined requests behind it to pause reading."""
    opened = socket.create_connection((LOOPBACK, own.processes.network.port), PATIENCE)
    message = call(key)
    headers = {**HEADERS, **stateless_headers(message)}
    opened.sendall(raw_request("POST", "/mcp", LOOPBACK, list(headers.items()), message))
    behind = raw_request("GET", "/healthz", LOOPBACK)
    opened.sendall(behind * (FILLING // len(behind)))
    return opened


def over_websocket(own: Services, key: str) -> socket.socket:
    """Send a call and more messages than the server reads while calls run."""
    opened = socket.create_connection((LOOPBACK, own.processes.network.port), PATIENCE)
    opened.sendall(raw_request("GET", "/ws", LOOPBACK, UPGRADE))
    read_until(opened, b"\r\n\r\n")
    text = json.dumps(call(key)).encode()
    opened.sendall(struct.pack("!BBH4x", 0x81, 0x80 | 126, len(text)) + text)
    for number in range(2, 4):
        large = json.dumps(large_call(key, number)).encode()
        opened.sendall(struct.pack("!BBQ4x", 0x81, 0x80 | 127, len(large)) + large)
    opened.sendall(struct.pack("!BB4x", 0x81, 0x80 | 2) + b"{}")
    return opened


def over_unix(own: Services, key: str) -> socket.socket:
    """Send a call and more messages than the server reads, over the Unix socket."""
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(PATIENCE)
    opened.connect(str(own.processes.unix_socket.path))
    opened.sendall(json.dumps(call(key)).encode() + b"\n")
    for number in range(2, 4):
        opened.sendall(json.dumps(large_call(key, number)).encode() + b"\n")
    return opened


def large_call(key: str, number: int) -> JsonObject:
    """Return a long-running call of 2.5 MB; beyond 4 MiB in flight the server stops reading."""
    arguments = {"key": f"{key} {number} " + "x" * 2_500_000}
    return request(number, "tools/call", stateless_params({"name": "hold", "arguments": arguments}))


LEAVING: Mapping[str, Callable[[Services, str], socket.socket]] = {
    "http": over_http,
    "websocket": over_websocket,
    "unix": over_unix,
}


def story(own: Services, transport: str, key: str, until: str) -> str:
    """Return the story of a call: its steps up to now, from the process that serves it."""
    neighbour: Conversation
    with own.fresh("unix" if transport == "unix" else "websocket", LATEST_HANDSHAKE) as neighbour:
        return neighbour.text("story", {"key": key, "until": until})


@pytest.mark.parametrize("manner", ["closes", "resets"])
@pytest.mark.parametrize("transport", LEAVING)
def test_its_call_is_cancelled(own: Services, transport: str, manner: str) -> None:
    key = f"{transport} {manner}"
    with closing(LEAVING[transport](own, key)) as opened:
        assert "held" in story(own, transport, key, "held")
        if manner == "resets" and transport != "unix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: "cancelled" in story(own, transport, key, "held"), "the call is cancelled", NOTICED)
