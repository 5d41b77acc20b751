"""Connection limits: probes and callers with keys get in, however many connections one client holds or opens."""

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from tests.support.connections import HOSTILE, OTHER, QUICK, connect, connection_from, neighbour
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    initialize_params,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.guarded import Guarded, guarded, subprotocol
from tests.support.http_client import EVENT_STREAM
from tests.support.processes import LOOPBACK, HttpServer, await_health, child, free_port
from tests.support.raw_http import RawConnection
from tests.support.streamable_http import raw_post, raw_request
from tests.support.websocket_conversation import websocket
from tfo_mcp_transports.network.uvicorn_protocols import EXTRA_CONNECTIONS

CONNECTIONS = 40
PER_ADDRESS = 20
RESERVE = 64
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
STREAM = raw_request("GET", "/sse", "localhost", [("Accept", EVENT_STREAM)])
HALF_A_HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Half: "
PAUSE_SECONDS = 0.002  # so that the flood leaves CPU time to other tests on the machine
REFUSAL = "Too many connections are open (setting server.max_connections)\n"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    limits = {"max_connections": CONNECTIONS, "max_connections_per_address": PER_ADDRESS}
    with guarded(tmp_path_factory.mktemp("gate"), server=limits, security={"require_key": False}) as running:
        yield running


@contextmanager
def streams(gate: Guarded, count: int, address: str = HOSTILE) -> Iterator[list[socket.socket]]:
    """Open event streams and hold them until the end of the block."""
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            stream = stack.enter_context(connect(gate.server.port, address))
            stream.sendall(STREAM)
            assert b" 200 " in RawConnection(stream).line()
            held.append(stream)
        yield held


@contextmanager
def flood(gate: Guarded, address: str, data: bytes) -> Iterator[None]:
    """Connect repeatedly, send the same bytes each time, and hold the latest connections."""
    over = Event()

    def work() -> None:
        held: list[socket.socket] = []
        while not over.wait(PAUSE_SECONDS):
            with suppress(OSError):
                opened = connect(gate.server.port, address)
                held.append(opened)
                opened.sendall(data)
            if len(held) > 3 * RESERVE:
                held.pop(0).close()
        for opened in held:
            opened.close()

    flooding = Thread(target=work, name="flood")
    flooding.start()
    try:
        yield
    finally:
        over.set()
        flooding.join()


def initialize(gate: Guarded, key: str | None, address: str) -> httpx.Response:
    with gate.client(key, address=address) as client:
        return client.post("/mcp", json=INITIALIZE)


def probe(gate: Guarded, address: str, path: str = "/healthz") -> httpx.Response:
    with gate.client(address=address) as client:
        return client.get(path)


class TestStreams:
    """All connections of one address, or of all addresses together, are long-lived streams."""

    @pytest.mark.parametrize("address", [HOSTILE, OTHER])
    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_probes_are_answered(self, gate: Guarded, path: str, address: str) -> None:
        with streams(gate, PER_ADDRESS), streams(gate, PER_ADDRESS, "127.0.0.4"):
            answer = probe(gate, address, path)
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            with gate.client(address=address) as client:
                assert client.head(path).status_code == 200

    @pytest.mark.parametrize("address", [HOSTILE, OTHER])
    def test_callers_with_keys_are_served(self, gate: Guarded, address: str) -> None:
        key = gate.key()
        with streams(gate, PER_ADDRESS), streams(gate, PER_ADDRESS, "127.0.0.4"):
            assert initialize(gate, key, address).status_code == 200
            with gate.client(address=address) as client:
                assert client.post("/mcp", json=INITIALIZE, headers={"X-API-Key": key}).status_code == 200

    @pytest.mark.parametrize("shown", ["header", "subprotocol"])
    def test_so_are_their_websockets(self, gate: Guarded, shown: str) -> None:
        key = gate.key()
        options = (
            {"additional_headers": {"X-API-Key": key}}
            if shown == "header"
            else {"subprotocols": ["mcp", subprotocol(key)]}
        )
        with (
            streams(gate, PER_ADDRESS),
            streams(gate, PER_ADDRESS, "127.0.0.4"),
            websocket(gate.server, **options, source_address=(HOSTILE, 0)) as client,
        ):
            client.send(json.dumps(request(1, "ping")))
            assert json.loads(client.recv(PATIENCE))["result"] == {}

    def test_others_are_refused_and_told_when_to_come_again(self, gate: Guarded) -> None:
        with streams(gate, PER_ADDRESS):
            refused = initialize(gate, None, HOSTILE)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (refused.headers["connection"], refused.text) == ("close", REFUSAL)
            assert probe(gate, HOSTILE, "/").status_code == 503

    def test_wrong_keys_buy_one_answer_and_no_connection(self, gate: Guarded) -> None:
        with streams(gate, PER_ADDRESS):
            wrong = initialize(gate, "tfo_wrong", HOSTILE)
            assert (wrong.status_code, wrong.headers["connection"]) == (401, "close")

    def test_another_address_is_served_without_a_key(self, gate: Guarded) -> None:
        with streams(gate, PER_ADDRESS):
            assert initialize(gate, None, OTHER).status_code == 200

    def test_when_they_have_gone_there_is_room_again(self, gate: Guarded) -> None:
        with streams(gate, PER_ADDRESS):
            assert initialize(gate, None, HOSTILE).status_code == 503
        wait_until(lambda: initialize(gate, None, HOSTILE).status_code == 200, "there is room again")


def test_callers_with_keys_can_hold_32_connections_beyond_the_limit_and_no_more(gate: Guarded) -> None:
    key = gate.key()
    stream = raw_request("GET", "/sse", "localhost", [("Accept", EVENT_STREAM), ("X-API-Key", key)])
    with streams(gate, PER_ADDRESS), ExitStack() as stack:
        statuses = []
        for _ in range(34):
            opened = stack.enter_context(connect(gate.server.port))
            opened.sendall(stream)
            statuses.append(RawConnection(opened).line().split()[1])
        assert statuses == [b"200"] * 32 + [b"503"] * 2
        assert probe(gate, HOSTILE).status_code == 200


class TestIdle:
    """Connections without a request are closed for new ones, the oldest first."""

    def test_silent_ones_hold_no_place(self, gate: Guarded) -> None:
        with ExitStack() as stack:
            silent = [stack.enter_context(connect(gate.server.port)) for _ in range(PER_ADDRESS)]
            assert initialize(gate, None, HOSTILE).status_code == 200
            assert RawConnection(silent[0]).received() == b""
            silent[-1].sendall(raw_request("GET", "/healthz", "localhost"))
            assert RawConnection(silent[-1]).response(verb="GET").status == 200

    def test_nor_do_those_that_were_served(self, gate: Guarded) -> None:
        with ExitStack() as stack:
            for _ in range(PER_ADDRESS):
                served = stack.enter_context(connection_from(gate.server.port))
                served.send(raw_request("GET", "/healthz", "localhost"))
                assert served.response(verb="GET").status == 200
            assert initialize(gate, None, HOSTILE).status_code == 200

    def test_one_with_a_call_that_runs_is_not_idle(self, gate: Guarded) -> None:
        key, name = gate.key(), {"key": "not idle"}
        call = request(2, "tools/call", stateless_params({"name": "hold", "arguments": name}))
        with connection_from(gate.server.port) as calling, ExitStack() as stack:
            calling.send(raw_post(gate.server.port, call, ("X-API-Key", key), *stateless_headers(call).items()))
            story = {"name": "story", "arguments": {**name, "until": "held"}}
            assert gate.stateless(key, "tools/call", story).status_code == 200
            for _ in range(2 * PER_ADDRESS):
                stack.enter_context(connect(gate.server.port))
            assert gate.stateless(key, "tools/call", {"name": "open_gate", "arguments": name}).status_code == 200
            assert calling.response().status == 200


FLOODS = {"silent": b"", "half a head": HALF_A_HEAD, "requests": raw_post(1, INITIALIZE), "wrong keys": b""}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_connections_from_the_same_address_locks_out_neither_probes_nor_keys(
    gate: Guarded, kind: str
) -> None:
    key = gate.key()
    data = FLOODS[kind] or raw_post(1, INITIALIZE, ("X-API-Key", "tfo_wrong")) * (kind == "wrong keys")
    with streams(gate, PER_ADDRESS), flood(gate, HOSTILE, data):
        with neighbour(gate.server, HOSTILE) as same, neighbour(gate.server) as other:
            for _ in range(20):
                assert initialize(gate, key, HOSTILE).status_code == 200
                assert initialize(gate, None, OTHER).status_code == 200
            wait_until(lambda: min(same.answers, other.answers) > 5, "both have been answered often enough")
        for seen in (same, other):
            assert (seen.worst < QUICK, seen.failures) == (True, [])


def test_connections_of_a_proxy_are_those_of_many_clients(tmp_path: Path) -> None:
    server = {"max_connections": 8, "max_connections_per_address": 2, "trusted_proxies": [HOSTILE]}
    with guarded(tmp_path, server=server, security={"require_key": False}) as gate, streams(gate, 6):
        assert initialize(gate, None, HOSTILE).status_code == 200
        with streams(gate, 2, OTHER):
            assert initialize(gate, None, OTHER).status_code == 503


class TestOpenFiles:
    """Each connection uses a file descriptor; the server reserves some for itself."""

    @contextmanager
    def limited(self, soft: int, hard: int) -> Iterator[HttpServer]:
        """Run a server with these limits of open files."""
        shell = ["/bin/sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"]
        port = free_port()
        line = ["serve", "--transport", "http", "--host", LOOPBACK, "--port", str(port)]
        with child(line, become=lambda command: [*shell, *command]) as running:
            server = HttpServer(running, port)
            await_health(server)
            yield server

    def test_the_limit_is_raised_as_far_as_connections_need(self) -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with self.limited(256, hard) as server:
            limits = Path(f"/proc/{server.child.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert int(line.split()[3]) == min(hard, 10_000 + EXTRA_CONNECTIONS + 256)

    def test_where_that_is_not_allowed_there_are_fewer_and_the_log_says_so(self) -> None:
        with self.limited(400, 400) as server, ExitStack() as stack:
            wait_until(lambda: "the limit of open files is too low" in server.child.stderr(), "the log says so")
            for _ in range(500):
                stack.enter_context(connect(server.port)).sendall(HALF_A_HEAD)
            for _ in range(5):
                with connection_from(server.port) as asking:
                    asking.send(raw_request("GET", "/healthz", "localhost"))
                    assert asking.response(verb="GET").status == 200
