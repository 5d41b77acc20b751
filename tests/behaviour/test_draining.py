"""Graceful shutdown of a network server: it reports draining, starts no new work and finishes calls in flight."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.behaviour.conftest import settings
from tests.support.conversations import Conversation
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    STATELESS,
    JsonObject,
    initialize_params,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.http_client import HEADERS, http_client
from tests.support.http_conversation import HttpConversation
from tests.support.processes import NO_TLS, PROJECT, HttpServer, http_server
from tests.support.sse_conversation import SseConversation
from tests.support.websocket_conversation import WebSocketConversation

SOON = 3.0  # seconds
LIST = request(1, "tools/list", stateless_params({}))
VARIABLES = {"PYTHONPATH": str(PROJECT)}


@contextmanager
def draining(roots: Path, folder: Path, revision: str = STATELESS) -> Iterator[tuple[HttpServer, HttpConversation]]:
    """Yield a draining server with one call in flight, and that conversation; release the call at the end."""
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
    return httpx.get(f"{server.origin}/readyz", timeout=PATIENCE, verify=NO_TLS).status_code


def test_readiness_goes_and_tells_why(roots: Path, tmp_path: Path) -> None:
    with draining(roots, tmp_path) as (server, _):
        answer = httpx.get(f"{server.origin}/readyz", verify=NO_TLS)
        assert (answer.status_code, answer.json()) == (503, {"status": "draining", "failing": []})
        assert answer.headers["retry-after"] == "1"
        alive = httpx.get(f"{server.origin}/healthz", verify=NO_TLS)
        assert (alive.status_code, alive.json()["readiness"]) == (200, "draining")


@pytest.mark.parametrize("revision", [LATEST_HANDSHAKE, STATELESS])
def test_what_has_not_begun_is_refused_with_a_hint_to_come_again(roots: Path, tmp_path: Path, revision: str) -> None:
    with draining(roots, tmp_path, revision) as (server, conversation):
        refused(conversation.error("tools/list"))
        opening = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
        for message, headers in ((LIST, stateless_headers(LIST)), (opening, {})):
            answer = httpx.post(server.url, json=message, headers={**HEADERS, **headers}, verify=NO_TLS)
            assert (answer.status_code, answer.headers["retry-after"], answer.headers["connection"]) == (
                503,
                "1",
                "close",
            )
            refused(answer.json()["error"])


@pytest.mark.parametrize("opened", [WebSocketConversation, SseConversation])
def test_it_is_refused_on_connections_that_stand_too(
    roots: Path, tmp_path: Path, opened: Callable[[HttpServer, str], Conversation]
) -> None:
    with (
        http_server(settings(roots), variables=VARIABLES) as server,
        closing(opened(server, STATELESS)) as conversation,
    ):
        call = conversation.start_tool("hold_for", {"path": str(tmp_path / "gate")})
        wait_until((tmp_path / "gate.held").exists, "the call runs")
        server.child.process.terminate()
        wait_until(lambda: ready(server) == 503, "the server drains")
        refused(conversation.error("tools/list"))
        (tmp_path / "gate").touch()
        assert conversation.reply(call)["result"]["content"][0]["text"] == "went on"
        assert server.child.wait() == 0


def test_an_open_stream_ends_with_when_to_come_again(roots: Path) -> None:
    with http_server(settings(roots), variables=VARIABLES) as server, http_client(server.url) as client:
        session = client.handshake(LATEST_HANDSHAKE)
        with session.listen() as stream:
            stream.next_event()
            server.child.process.terminate()
            assert stream.next_event().retry == 1000
            stream.rest()
            assert not stream.broken
        assert server.child.wait() == 0


def test_a_client_that_goes_on_asking_does_not_keep_the_server(roots: Path) -> None:
    with http_server(settings(roots), variables=VARIABLES) as server, httpx.Client(verify=NO_TLS) as client:
        ask = partial(client.post, server.url, json=LIST, headers={**HEADERS, **stateless_headers(LIST)})
        assert ask().status_code == 200
        server.child.process.terminate()
        began = monotonic()
        with suppress(httpx.TransportError):
            while monotonic() - began < 2 * SOON:
                ask()
        assert server.child.wait() == 0
        assert monotonic() - began < SOON


def refused(error: JsonObject) -> None:
    assert (error["code"], error["data"]) == (-31003, {"kind": "draining", "retryAfterMs": 1000})


@pytest.mark.parametrize("path", ["/sse", "/ws"])
def test_connections_that_would_last_are_refused_too(roots: Path, tmp_path: Path, path: str) -> None:
    with draining(roots, tmp_path) as (server, _):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        headers = {**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if path == "/ws" else {}
        answer = httpx.get(f"{server.origin}{path}", headers=headers, verify=NO_TLS)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


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
