"""Budgets of one client: its use of the server is limited per caller or network, and others are still served."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.support.connections import QUICK
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import (
    LATEST_HANDSHAKE,
    JsonObject,
    initialize_params,
    request,
    stateless_headers,
    stateless_params,
)
from tests.support.guarded import Guarded, guarded
from tests.support.processes import LOOPBACK
from tests.support.stalled_clients import ON_NETWORK
from tests.support.streamable_http import raw_request
from tests.support.websocket_conversation import masked_frame, websocket

OTHER = "127.0.0.2"
SESSIONS = 20
STREAMS = 3
SUBSCRIPTIONS = 3
REQUEST_BYTES = 200_000
RESPONSE_BYTES = 16_000_000
LARGE = 10_000_000
INITIALIZE = request(1, "initialize", initialize_params(LATEST_HANDSHAKE))
RATE_LIMITED = "rate_limited"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    limits = {
        "streams": STREAMS,
        "subscriptions": SUBSCRIPTIONS,
        "request_bytes": REQUEST_BYTES,
        "response_bytes": RESPONSE_BYTES,
    }
    place = tmp_path_factory.mktemp("budgets")
    with guarded(
        place,
        limits=limits,
        mcp={"max_sessions_per_caller": SESSIONS, "max_sessions": 4 * SESSIONS},
        security={"require_key": False, "anonymous": "all"},
        files={"roots": [str(place / "root")]},
    ) as running:
        for number in range(2 * SUBSCRIPTIONS):
            (place / "root" / f"{number}.txt").write_text("text")
        yield running


def stateless(method: str, params: JsonObject, identifier: int = 1) -> tuple[JsonObject, dict[str, str]]:
    """Return a message of the stateless era and its headers."""
    message = request(identifier, method, stateless_params(params))
    return message, stateless_headers(message)


def call(client: httpx.Client, tool: str, **arguments: Any) -> httpx.Response:
    """Call a tool in the stateless era."""
    message, headers = stateless("tools/call", {"name": tool, "arguments": arguments})
    return client.post("/mcp", json=message, headers=headers)


def is_limited(answer: httpx.Response, policy: str) -> bool:
    """Return whether a budget refused the request, with the headers that say when to retry."""
    error = answer.json()["error"]
    assert answer.status_code == 429, answer.text
    assert answer.headers["retry-after"] == "1"
    assert f'"{policy}"' in answer.headers["ratelimit-policy"]
    return bool(error["data"]["kind"] == RATE_LIMITED and error["data"]["policy"] == policy)


class TestSessions:
    def test_a_flood_of_sessions_hinders_neither_others_nor_its_own_client(self, gate: Guarded) -> None:
        with gate.client(address=OTHER) as other, gate.client() as greedy:
            theirs = {"Mcp-Session-Id": gate.session(other)}
            opened = [greedy.post("/mcp", json=INITIALIZE) for _ in range(5 * SESSIONS)]
            assert {answer.status_code for answer in opened} == {200}
            assert gate.server.sessions() <= SESSIONS + 1
            for answer, status in ((opened[0], 404), (opened[-1], 200)):
                own = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
                assert greedy.post("/mcp", json=request(2, "ping"), headers=own).status_code == status
            assert other.post("/mcp", json=request(2, "ping"), headers=theirs).status_code == 200
            assert other.post("/mcp", json=INITIALIZE).status_code == 200

    def test_many_networks_leave_room_for_callers_with_a_key(self, gate: Guarded) -> None:
        for number in range(10, 16):
            with gate.client(address=f"127.0.0.{number}") as client:
                for _ in range(SESSIONS):
                    assert client.post("/mcp", json=INITIALIZE).status_code == 200
        assert gate.server.sessions() == 3 * SESSIONS
        with gate.client(gate.key()) as client:
            for _ in range(SESSIONS):
                assert client.post("/mcp", json=INITIALIZE).status_code == 200
        assert gate.server.sessions() == 4 * SESSIONS


@contextmanager
def open_stream(gate: Guarded, kind: str, address: str) -> Iterator[int]:
    """Open a stream of the given kind and yield the status of its response."""
    with ExitStack() as stack:
        if kind == "websocket":
            try:
                stack.enter_context(websocket(gate.server, source_address=(address, 0)))
            except InvalidStatus as refused:
                yield refused.response.status_code
            else:
                yield 101
            return
        client = stack.enter_context(gate.client(address=address))
        headers, body, verb, path = {"Accept": "text/event-stream"}, None, "GET", "/sse"
        if kind == "GET":
            headers["Mcp-Session-Id"], path = gate.session(client), "/mcp"
        elif kind == "subscriptions":
            body, more = stateless("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            headers, verb, path = {**headers, **more}, "POST", "/mcp"
        answer = stack.enter_context(client.stream(verb, path, json=body, headers=headers))
        chunks = answer.iter_raw()
        next(chunks)  # dropping the iterator would close the connection
        yield answer.status_code


class TestStreams:
    @pytest.mark.parametrize("kind", ["websocket", "sse", "GET", "subscriptions"])
    def test_one_more_stream_than_a_client_may_have_is_refused_and_others_have_theirs(
        self, gate: Guarded, kind: str
    ) -> None:
        address = f"127.0.1.{1 + len(kind)}"
        with ExitStack() as stack:
            opened = [stack.enter_context(open_stream(gate, kind, address)) for _ in range(STREAMS)]
            assert set(opened) <= {101, 200}
            with open_stream(gate, kind, address) as status:
                assert status == 429
            with open_stream(gate, kind, "127.0.1.99") as status:
                assert status in (101, 200)

        def reopened() -> bool:
            with open_stream(gate, kind, address) as status:
                return status in (101, 200)

        wait_until(reopened, "the streams that were closed make room")


class TestSubscriptions:
    def test_a_client_has_its_share_of_subscriptions_over_all_of_its_sessions(self, gate: Guarded) -> None:
        uris = [(gate.place / "root" / f"{number}.txt").as_uri() for number in range(2 * SUBSCRIPTIONS)]
        with gate.client(address="127.0.2.1") as greedy, gate.client(address="127.0.2.2") as other:
            sessions = [{"Mcp-Session-Id": gate.session(greedy)} for _ in range(2)]
            answers = [
                greedy.post("/mcp", json=request(number, "resources/subscribe", {"uri": uri}), headers=session)
                for number, (uri, session) in enumerate(zip(uris, sessions * SUBSCRIPTIONS, strict=True), 2)
            ]
            assert [answer.status_code for answer in answers] == [200] * SUBSCRIPTIONS + [429] * SUBSCRIPTIONS
            assert is_limited(answers[-1], "subscriptions")
            theirs = {"Mcp-Session-Id": gate.session(other)}
            subscribe = request(2, "resources/subscribe", {"uri": uris[0]})
            assert other.post("/mcp", json=subscribe, headers=theirs).status_code == 200
            assert greedy.delete("/mcp", headers=sessions[0]).status_code == 204
            assert greedy.post("/mcp", json=subscribe, headers=sessions[1]).status_code == 200

    def test_a_client_that_subscribes_in_masses_delays_neither_new_connections_nor_subscriptions_of_others(
        self, tmp_path: Path
    ) -> None:
        with (
            guarded(tmp_path, security={"require_key": False, "anonymous": "all"}) as own,
            ExitStack() as stack,
            websocket(own.server, source_address=("127.0.2.4", 0)) as subscribed,
        ):
            exchanged(subscribed, INITIALIZE)
            subscribed.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            flood = [
                json.dumps(request(number, "resources/subscribe", {"uri": f"{(own.place / str(number)).as_uri()}.txt"}))
                for number in range(1000)
            ]
            hostile = [
                stack.enter_context(websocket(own.server, source_address=("127.0.2.3", 0), max_queue=None))
                for _ in range(20)
            ]
            for greedy in hostile:
                exchanged(greedy, INITIALIZE)
                greedy.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            for greedy in hostile:
                greedy.socket.sendall(b"".join(masked_frame(0x81, message.encode()) for message in flood))
            began = monotonic()
            with websocket(own.server, source_address=("127.0.2.5", 0)) as other:
                assert "result" in exchanged(other, INITIALIZE)
            assert "result" in exchanged(
                subscribed, request(2, "resources/subscribe", {"uri": (own.place / "root").as_uri()})
            )
            assert monotonic() - began < QUICK


def unfinished(gate: Guarded, address: str, sent: int) -> socket.socket:
    """Send part of a large request from an address, and return the connection."""
    connection = socket.create_connection((LOOPBACK, gate.server.port), PATIENCE, (address, 0))
    usual = [("Content-Type", "application/json"), ("Content-Length", str(sent + 1))]
    connection.sendall(raw_request("POST", "/mcp", f"{LOOPBACK}:{gate.server.port}", usual) + b" " * sent)
    return connection


def padded(size: int) -> tuple[JsonObject, dict[str, str]]:
    """Return a call whose message has more than `size` bytes."""
    return stateless("tools/call", {"name": "echo", "arguments": {"message": "x" * size}})


def exchanged(connection: ClientConnection, message: JsonObject) -> JsonObject:
    """Send a message and return its response."""
    connection.send(json.dumps(message))
    answer: JsonObject = json.loads(connection.recv(PATIENCE))
    return answer


class TestRequestBytes:
    def test_bodies_that_are_still_arriving_count_and_another_client_is_served(self, gate: Guarded) -> None:
        address = "127.0.3.1"
        message, headers = padded(REQUEST_BYTES // 2)
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(closing(unfinished(gate, address, REQUEST_BYTES // 2 - 10_000)))
            with gate.client(address=address) as greedy, gate.client(address="127.0.3.2") as other:

                def refused() -> bool:
                    answer = greedy.post("/mcp", json=message, headers=headers)
                    return answer.status_code != 200 and is_limited(answer, "bytes of requests in progress")

                wait_until(refused, "the bytes that have arrived are counted")
                assert call(greedy, "echo", message="small").status_code == 200
                assert other.post("/mcp", json=message, headers=headers).status_code == 200

        def served() -> bool:
            with gate.client(address=address) as client:
                return client.post("/mcp", json=message, headers=headers).status_code == 200

        wait_until(served, "connections that were closed are charged no longer")

    def test_calls_that_run_count_over_all_websockets_of_a_client(self, gate: Guarded) -> None:
        address = ("127.0.3.3", 0)
        large, _ = padded(REQUEST_BYTES // 2)
        hold = {"name": "hold", "arguments": {"key": "x" * (REQUEST_BYTES // 2 - 10_000)}}
        with ExitStack() as stack:
            first, second, third = (
                stack.enter_context(websocket(gate.server, source_address=address)) for _ in range(3)
            )
            for connection in (first, second):
                connection.send(json.dumps(request(1, "tools/call", stateless_params(hold))))

            def refused() -> bool:
                error = exchanged(third, large).get("error")
                return error is not None and error["data"]["kind"] == RATE_LIMITED

            wait_until(refused, "the calls that run are counted")
            with websocket(gate.server, source_address=("127.0.3.4", 0)) as other:
                assert "result" in exchanged(other, large)
            for connection in (first, second):
                connection.close()
            wait_until(lambda: not refused(), "the calls have ended")


class TestResponseBytes:
    def test_results_that_a_client_does_not_read_become_errors_and_others_get_theirs(self, gate: Guarded) -> None:
        address = "127.0.4.1"
        message, headers = stateless("tools/call", {"name": "long_text", "arguments": {"length": LARGE}})
        lines = [*headers.items(), ("Content-Type", "application/json"), ("Accept", "application/json")]
        with ExitStack() as stack:
            connection = socket.create_connection((LOOPBACK, gate.server.port), PATIENCE, (address, 0))
            stack.enter_context(closing(connection))
            connection.sendall(raw_request("POST", "/mcp", f"{LOOPBACK}:{gate.server.port}", lines, message))
            connection.recv(1, socket.MSG_PEEK)  # its result is counted before another one is asked for
            with gate.client(address=address) as greedy, gate.client(address="127.0.4.2") as other:

                def refused() -> bool:
                    answer = call(greedy, "long_text", length=LARGE)
                    return answer.status_code != 200 and is_limited(answer, "bytes of unread responses")

                wait_until(refused, "the unread result is counted")
                assert call(greedy, "echo", message="small").status_code == 200
                assert call(other, "long_text", length=LARGE).status_code == 200

    @pytest.mark.parametrize("transport", ON_NETWORK)
    def test_a_result_counts_until_its_client_has_read_it(self, gate: Guarded, transport: str) -> None:
        """A result in the server's connection buffers still counts."""
        with gate.client() as same:

            def is_full() -> bool:
                answer = call(same, "long_text", length=LARGE)
                call(same, "echo", message="the server has finished the request before")
                return answer.status_code != 200 and is_limited(answer, "bytes of unread responses")

            def is_counted() -> bool:
                unread = {"name": "long_text", "arguments": {"length": LARGE}}
                with closing(ON_NETWORK[transport](gate.server, unread)) as stalled:
                    stalled.await_output()  # it may be an error, while the result of a call before still counts
                    return is_full()

            wait_until(is_counted, "the unread result is counted")
            wait_until(lambda: not is_full(), "the result of a client that has left does not count")
