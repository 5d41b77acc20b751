"""The documented nginx configuration in front of two servers: streams, WebSockets, sessions, and retries."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request, stateless_params
from tests.support.http_client import HttpClient, Reply, http_client
from tests.support.nginx import Nginx, checked, configuration, nginx
from tests.support.processes import LOOPBACK, PROJECT, HttpServer, free_port, http_server
from tests.support.streamable_http import call_of, text_of

PLUGINS = [f"tests.support.plugins.{name}" for name in ("http_tools", "work")]
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
CALLS = "mcp_server_operation_duration_seconds_count"
CUT_OFF_AFTER = 3.0  # seconds; more than nginx takes to retry on the other process


@dataclass(frozen=True)
class Place:
    """Two servers behind nginx."""

    servers: tuple[HttpServer, HttpServer]
    proxy: Nginx

    def calls(self) -> list[int]:
        """Return the number of tool calls that each server has counted."""
        texts = [httpx.get(f"{server.origin}/metrics", trust_env=False).text for server in self.servers]
        lines = [[line for line in text.splitlines() if line.startswith(CALLS)] for text in texts]
        return [sum(int(float(line.split()[-1])) for line in own if "tools/call" in line) for own in lines]


@contextmanager
def placed(directory: Path, **sections: Mapping[str, Any]) -> Iterator[Place]:
    """Run two servers and an nginx until the end of the block."""
    settings = {
        "mcp": {"plugins": PLUGINS, **sections.get("mcp", {})},
        "server": {"trusted_proxies": [LOOPBACK], **sections.get("server", {})},
        "security": {"require_key": False, "anonymous": "all", "audit": False},
        "telemetry": {"prometheus": True},
    }
    with ExitStack() as stack:
        variables = {"PYTHONPATH": str(PROJECT)}
        one, other = (stack.enter_context(http_server(settings, variables=variables)) for _ in range(2))
        proxy = stack.enter_context(nginx(directory, one.port, other.port))
        yield Place((one, other), proxy)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("nginx")) as running:
        yield running


@pytest.fixture
def client(place: Place) -> Iterator[HttpClient]:
    with http_client(place.proxy.url) as connected:
        yield connected


def echoed(client: HttpClient, message: str) -> str:
    """Call `echo` in the stateless era and return its text."""
    return text_of(client.call_stateless("tools/call", call_of("echo", message=message)).result)


def test_nginx_accepts_it(tmp_path: Path) -> None:
    assert "test is successful" in checked(configuration(tmp_path, "8080", (8081, 8082)))
    assert "test is successful" in checked(configuration(tmp_path, "8080", (8081, 8082, 8083), "tfo_mcp_any"))


def test_stateless_calls_are_shared_among_the_servers(place: Place, client: HttpClient) -> None:
    before = place.calls()
    assert [echoed(client, str(number)) for number in range(8)] == list(map(str, range(8)))
    assert all(now > then for now, then in zip(place.calls(), before, strict=True))


def test_sessions_of_one_caller_stay_with_one_server(place: Place, client: HttpClient) -> None:
    sessions = [client.handshake() for _ in range(4)]
    assert all(session.call("ping").result == {} for session in sessions for _ in range(3))
    assert sorted(server.sessions() for server in place.servers) == [0, 4]
    for session in sessions:
        session.delete()


def test_events_reach_the_client_while_the_call_runs(client: HttpClient) -> None:
    session = client.handshake()
    call = session.request("tools/call", call_of("hold", key="through-nginx", aloud=True))
    with session.stream(call) as stream:
        while (message := stream.next_message()).get("method") != "notifications/message":
            pass
        assert message["params"]["data"] == "through-nginx waits"
        session.call("tools/call", call_of("open_gate", key="through-nginx"))
        assert text_of(stream.reply(call["id"])["result"]) == "held through-nginx"
    session.delete()


def test_a_websocket_stands_through_it(place: Place) -> None:
    url = place.proxy.url.replace("http:", "ws:").replace("/mcp", "/ws")
    with connect(url, subprotocols=[Subprotocol("mcp")], open_timeout=PATIENCE, proxy=None) as socket:
        socket.send(json.dumps(request(1, "tools/call", stateless_params(call_of("echo", message="hello")))))
        assert text_of(json.loads(socket.recv(PATIENCE))["result"]) == "hello"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_pages_about_one_process_are_not_shown(place: Place, path: str) -> None:
    answer = httpx.get(place.proxy.url.replace("/mcp", path), trust_env=False)
    assert (answer.status_code, answer.headers["server"].startswith("nginx")) == (404, True)


def test_what_is_too_large_is_refused_by_the_server_itself(client: HttpClient) -> None:
    reply = client.post(request(1, "ping", {"filling": "x" * (4 * 1024 * 1024)}))
    assert reply.status == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert b"max_body_bytes" in reply.body


def test_a_server_that_is_away_is_not_missed(tmp_path: Path) -> None:
    settings = {"security": {"require_key": False}}
    with http_server(settings) as server, nginx(tmp_path, free_port(), server.port) as proxy:
        with http_client(proxy.url) as client:
            assert [echoed(client, str(number)) for number in range(6)] == list(map(str, range(6)))
            assert client.handshake().call("ping").result == {}
        assert any("Connection refused" in line for line in proxy.problems())


@contextmanager
def full(server: HttpServer) -> Iterator[None]:
    """Occupy the only session of a server, with an open stream, until the end of the block."""
    with http_client(server.url) as client:
        session = client.handshake()
        with session.listen():
            yield
        session.delete()


def test_what_one_server_refuses_is_asked_of_the_other_and_then_no_more(tmp_path: Path) -> None:
    with placed(tmp_path, mcp={"max_sessions": 1}) as place, ExitStack() as stack:
        client = stack.enter_context(http_client(place.proxy.url))
        for busy, free in (place.servers, place.servers[::-1]):  # nginx tries one of the two first, full or not
            with full(busy), http_client(free.url) as direct:
                opened = client.post(INITIALIZE)
                assert opened.status == httpx.codes.OK
                direct.send("DELETE", None, {"Mcp-Session-Id": opened.headers["mcp-session-id"]})
                assert free.sessions() == 0
        for server in place.servers:
            stack.enter_context(full(server))
        reply = client.post(INITIALIZE)
        assert reply.status == httpx.codes.SERVICE_UNAVAILABLE
        assert "mcp.max_sessions" in reply.error["message"]
        assert [server.sessions() for server in place.servers] == [1, 1]


def test_a_call_that_was_cut_off_is_not_sent_to_the_other_server(tmp_path: Path) -> None:
    ledger, replies = tmp_path / "ledger", list[Reply]()
    call = call_of("work", ticket="mine", ledger=str(ledger), seconds=10)
    with placed(tmp_path, server={"drain_seconds": CUT_OFF_AFTER}) as place, http_client(place.proxy.url) as client:
        session = client.handshake()
        calling = Thread(target=lambda: replies.append(session.call("tools/call", call)), daemon=True)
        calling.start()
        wait_until(ledger.exists, "the work has begun")
        busy = next(server for server in place.servers if server.sessions())
        busy.child.process.terminate()
        calling.join(2 * PATIENCE)
        assert (replies[0].status, replies[0].error["data"]["kind"]) == (200, "shutting_down")
        assert busy.child.wait() == 0
    assert ledger.read_text().split() == ["mine"]
