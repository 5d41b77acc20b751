"""A server on the network that is told to stop: it says so, begins nothing new, and loses nothing that it has begun."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.behaviour.conftest import settings
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, STATELESS, initialize_params, request
from tests.support.http_client import HEADERS
from tests.support.http_conversation import HttpConversation
from tests.support.processes import PROJECT, HttpServer, http_server

SOON = 3.0  # seconds
VARIABLES = {"PYTHONPATH": str(PROJECT)}


@contextmanager
def draining(roots: Path, folder: Path, revision: str = STATELESS) -> Iterator[tuple[HttpServer, HttpConversation]]:
    """Yield a server that was told to stop while a call runs, and the call's conversation; it goes on at the end."""
    with http_server(settings(roots), variables=VARIABLES) as server:
        conversation = HttpConversation(server, revision)
        if revision != STATELESS:
            conversation.handshake()
        held = folder / "gate"
        call = conversation.start_tool("hold_for", {"path": str(held)})
        wait_until(Path(f"{held}.held").exists, "the call runs")
        server.child.process.terminate()
        wait_until(lambda: ready(server) == 503, "the server says that it is not ready any more")
        yield server, conversation
        held.touch()
        assert conversation.reply(call)["result"]["content"][0]["text"] == "went on"
        assert server.child.wait() == 0
        conversation.close()


def ready(server: HttpServer) -> int:
    return httpx.get(f"{server.origin}/readyz", timeout=PATIENCE).status_code


def test_readiness_goes_and_tells_why(roots: Path, tmp_path: Path) -> None:
    with draining(roots, tmp_path) as (server, _):
        answer = httpx.get(f"{server.origin}/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "draining", "failing": []})
        assert answer.headers["retry-after"] == "1"
        alive = httpx.get(f"{server.origin}/healthz")
        assert (alive.status_code, alive.json()["readiness"]) == (200, "draining")


@pytest.mark.parametrize("method", ["initialize", "tools/list"])
def test_what_would_begin_something_is_refused_with_a_hint_to_come_again(
    roots: Path, tmp_path: Path, method: str
) -> None:
    with draining(roots, tmp_path) as (server, _):
        message = request(1, method, initialize_params(LATEST_HANDSHAKE))
        answer = httpx.post(server.url, json=message, headers=HEADERS)
        assert (answer.status_code, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
        error = answer.json()["error"]
        assert error["data"] == {"kind": "shutting_down", "retryAfterMs": 1000}


@pytest.mark.parametrize("path", ["/sse", "/ws"])
def test_connections_that_would_last_are_refused_too(roots: Path, tmp_path: Path, path: str) -> None:
    with draining(roots, tmp_path) as (server, _):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        headers = {**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if path == "/ws" else {}
        answer = httpx.get(f"{server.origin}{path}", headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_session_is_served_to_the_end(roots: Path, tmp_path: Path) -> None:
    with draining(roots, tmp_path, LATEST_HANDSHAKE) as (_, conversation):
        assert conversation.text("echo", {"message": "still there"}) == "still there"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(roots: Path, tmp_path: Path, number: signal.Signals) -> None:
    with http_server(settings(roots), variables=VARIABLES) as server:
        conversation = HttpConversation(server, STATELESS)
        conversation.start_tool("hold_for", {"path": str(tmp_path / "never")})
        wait_until((tmp_path / "never.held").exists, "the call runs")
        server.child.process.terminate()
        wait_until(lambda: ready(server) == 503, "the server drains")
        began = monotonic()
        server.child.process.send_signal(number)
        assert server.child.wait() == 128 + number
        assert monotonic() - began < SOON
        conversation.close()


def test_a_server_with_nothing_to_do_ends_soon_with_0(roots: Path) -> None:
    with http_server(settings(roots), variables=VARIABLES) as server:
        assert ready(server) == 200
        began = monotonic()
        server.child.process.terminate()
        assert server.child.wait() == 0
        assert monotonic() - began < SOON
