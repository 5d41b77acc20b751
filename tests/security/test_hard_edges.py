"""Abuse of limits: slow requests, floods, duplicates and disguised callers."""

import json
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.deadlines import PATIENCE
from tests.support.envelopes import LATEST_HANDSHAKE, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.http_client import JSON
from tests.support.processes import LOOPBACK, stdio_child, unix_server
from tests.support.raw_http import raw_connection
from tests.support.streamable_http import UPGRADE, HeaderLine, raw_post, raw_request
from tests.support.websocket_conversation import websocket

INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
HEAD_SECONDS, BODY_SECONDS = 5.0, 15.0
ORIGIN = "https://app.example"
DEEP = 100_000


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("gate"), security={"require_key": False, "anonymous": "all"}) as running:
        yield running


class TestTime:
    def test_a_head_that_is_slow_is_given_up_sooner_than_a_body(self, gate: Guarded) -> None:
        with raw_connection(gate.server.port) as head, raw_connection(gate.server.port) as body:
            began = monotonic()
            head.send(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n")
            body.send(raw_post(gate.server.port, b"", ("Content-Length", "100"))[:-1] + b"\n{")
            assert head.response(2 * HEAD_SECONDS).status == 408
            after_head = monotonic() - began
            assert body.response(2 * BODY_SECONDS).status == 408
            after_body = monotonic() - began
        assert HEAD_SECONDS <= after_head < BODY_SECONDS <= after_body

    def test_one_byte_after_the_other_does_not_buy_time(self, gate: Guarded) -> None:
        with socket.create_connection((LOOPBACK, gate.server.port)) as dripping:
            dripping.settimeout(0.1)
            answer, letters = b"", iter(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 10_000)
            began = monotonic()
            while not answer and monotonic() - began < BODY_SECONDS:
                dripping.sendall(bytes([next(letters)]))
                try:
                    answer = dripping.recv(1000)
                except TimeoutError:
                    continue
        assert answer.startswith(b"HTTP/1.1 408 ")

    def test_five_hundred_that_do_nothing_hinder_nobody(self, gate: Guarded) -> None:
        with ExitStack() as stack:
            for number in range(500):
                idle = stack.enter_context(socket.create_connection((LOOPBACK, gate.server.port)))
                if number % 3 == 1:
                    idle.sendall(b"POST /mcp HTTP/1.1\r\nHo")
                elif number % 3 == 2:
                    idle.sendall(raw_post(gate.server.port, b"", ("Content-Length", "1000")))
            with gate.client() as client:
                for _ in range(50):
                    assert client.post("/mcp", json=INITIALIZE, timeout=1.0).status_code == 200


@pytest.mark.parametrize(
    "line",
    [
        ("Authorization", "Bearer x"),
        ("X-API-Key", "x"),
        ("Content-Type", JSON),
        ("Content-Encoding", "identity"),
    ],
)
def test_a_header_that_stands_twice_is_refused(gate: Guarded, line: HeaderLine) -> None:
    raw = raw_post(gate.server.port, INITIALIZE, line, line)
    with raw_connection(gate.server.port) as connection:
        connection.send(raw)
        answer = connection.response()
    assert (answer.status, answer.body) == (400, f"Send one {line[0].lower()} header at most\n".encode())


class TestSizes:
    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    @pytest.mark.parametrize("transport", ["http", "websocket", "sse"])
    def test_json_of_any_depth_is_an_error_and_nothing_more(self, gate: Guarded, transport: str, opening: str) -> None:
        closing = "]" if opening == "[" else "}"
        raw = f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{opening * DEEP}1{closing * DEEP}}}}}'
        with gate.client() as client:
            if transport == "websocket":
                with websocket(gate.server) as connection:
                    connection.send(raw)
                    error = json.loads(connection.recv(PATIENCE))["error"]
            elif transport == "http":
                error = client.post("/mcp", content=raw).json()["error"]
            else:
                with client.stream("GET", "/sse", headers={"Accept": "text/event-stream"}) as stream:
                    lines = stream.iter_lines()
                    endpoint = next(line for line in lines if line.startswith("data: ")).removeprefix("data: ")
                    answer = client.post(endpoint, content=raw)
                    assert answer.status_code in (202, 400)
                    data = answer.text
                    if answer.status_code == 202:
                        data = next(line for line in lines if line.startswith("data: ")).removeprefix("data: ")
                    error = json.loads(data)["error"]
            assert error["code"] in (-32700, -32600)
            assert client.get("/healthz").status_code == 200

    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    def test_nor_is_it_more_on_stdio_and_the_unix_socket(self, opening: str) -> None:
        closing = "]" if opening == "[" else "}"
        raw = (
            f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{opening * DEEP}1{closing * DEEP}}}}}\n'.encode()
        )
        ping = json.dumps(request(2, "ping")).encode() + b"\n"
        with stdio_child() as child:
            assert child.process.stdin is not None
            assert child.process.stdout is not None
            with child.process.stdout as output:
                child.process.stdin.write(raw + ping)
                child.process.stdin.flush()
                lines = [output.readline() for _ in range(2)]
        with unix_server() as server, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(server.path))
            connection.sendall(raw + ping)
            with connection.makefile("rb") as replies:
                lines += [replies.readline() for _ in range(2)]
        replies_by_id = [(reply.get("id"), "error" in reply) for reply in map(json.loads, lines)]
        assert replies_by_id.count((2, False)) == 2
        assert [failed for _, failed in replies_by_id].count(True) == 2

    def test_a_number_of_many_digits_is_an_error(self, gate: Guarded) -> None:
        with gate.client() as client:
            for number in ("9" * 100_000, "1e999999", "-" + "1" * 5000, "0." + "1" * 100_000):
                raw = f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{number}}}}}'
                answer = client.post("/mcp", content=raw, timeout=2.0)
                assert answer.status_code in (200, 400)

    def test_a_compressed_message_of_half_a_gigabyte_is_never_unpacked(self, gate: Guarded) -> None:
        """The extension was not negotiated, so a frame marked as compressed violates the protocol."""
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = b" " * (1 << 20)
        bomb = b"".join(packer.compress(block) for _ in range(512)) + packer.flush(zlib.Z_SYNC_FLUSH)
        frame = b"\xc1" + (b"\xff" + struct.pack(">Q", len(bomb[:-4]))) + b"\0\0\0\0" + bomb[:-4]
        memory = Path(f"/proc/{gate.server.child.pid}/status")
        with raw_connection(gate.server.port) as connection:
            offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
            connection.send(raw_request("GET", "/ws", f"{LOOPBACK}:{gate.server.port}", [*UPGRADE, offer]))
            opened = connection.response()
            assert (opened.status, "sec-websocket-extensions" in opened.headers) == (101, False)
            connection.send(frame)
            closing = connection.received()
        assert closing[:1] == b"\x88"
        assert struct.unpack(">H", closing[2:4])[0] in (1002, 1009)
        peak = next(line for line in memory.read_text().splitlines() if line.startswith("VmHWM"))
        assert int(peak.split()[1]) < 300_000
        with gate.client() as client:
            assert client.get("/healthz").status_code == 200


class TestOrigins:
    """Cross-origin pages: none by default, and exactly the configured ones."""

    def preflight(self, gate: Guarded, origin: str) -> httpx.Response:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,mcp-session-id,mcp-param-x",
        }
        with gate.client() as client:
            return client.options("/mcp", headers=headers)

    def test_by_default_no_page_of_another_origin_is_let_in(self, gate: Guarded) -> None:
        answer = self.preflight(gate, ORIGIN)
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (403, False)
        own = self.preflight(gate, gate.server.origin)
        assert "access-control-allow-origin" not in own.headers

    def test_those_that_are_configured_are_and_no_others(self, tmp_path: Path) -> None:
        server = {"allowed_origins": [ORIGIN]}
        with guarded(tmp_path, server=server) as gate:
            answer = self.preflight(gate, ORIGIN)
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "mcp-param-x" in answer.headers["access-control-allow-headers"].lower()
            assert "access-control-allow-credentials" not in answer.headers
            with gate.client(gate.key(), Origin=ORIGIN) as client:
                served = client.post("/mcp", json=INITIALIZE)
            assert (served.status_code, served.headers["access-control-allow-origin"]) == (200, ORIGIN)
            assert "mcp-session-id" in served.headers["access-control-expose-headers"].lower()
            for origin in ("https://evil.example", f"{ORIGIN}.evil.example", "null", ORIGIN.replace("https", "http")):
                refused = self.preflight(gate, origin)
                assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)
            with pytest.raises(InvalidStatus), websocket(gate.server, origin="https://evil.example"):
                raise AssertionError("a page of another site has opened a WebSocket")


class TestForwarding:
    """X-Forwarded-For is trusted only from a configured proxy."""

    def statuses(self, gate: Guarded, addresses: list[str]) -> list[int]:
        with gate.client() as client:
            return [
                client.get("/mcp", headers={"X-API-Key": "wrong", "X-Forwarded-For": address}).status_code
                for address in addresses
            ]

    def test_from_anybody_it_is_not_believed(self, tmp_path: Path) -> None:
        with guarded(tmp_path, limits={"wrong_credentials_per_minute": 2}) as gate:
            addresses = [f"192.0.2.{number}" for number in range(4)]
            assert self.statuses(gate, addresses) == [401, 401, 429, 429]
            assert {entry["address"] for entry in gate.audit()} == {"127.0.0.1"}

    def test_from_a_proxy_the_last_address_that_is_no_proxys_counts(self, tmp_path: Path) -> None:
        server = {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}
        with guarded(tmp_path, server=server, limits={"wrong_credentials_per_minute": 2}) as gate:
            addresses = [f"192.0.2.{number}" for number in range(4)]
            assert self.statuses(gate, addresses) == [401, 401, 401, 401]
            lies = [f"192.0.2.{number}, 198.51.100.7, 10.1.1.1" for number in range(4)]
            assert self.statuses(gate, lies) == [401, 401, 429, 429]
            assert self.statuses(gate, ["no address"] * 3) == [401, 401, 429]
            told = [entry["address"] for entry in gate.audit()]
            assert told == [
                "192.0.2.0",
                "192.0.2.1",
                "192.0.2.2",
                "192.0.2.3",
                *["198.51.100.7"] * 4,
                *["127.0.0.1"] * 3,
            ]
