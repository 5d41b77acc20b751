"""Replicas that share a Redis, when one of them or Redis fails: what goes on, what is refused, and what returns.

Real processes behind real sockets; a fault is a SIGKILL, or a proxy that is silent, slow, or resets connections.
"""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.support.http_client import EVENT_STREAM, HttpClient, Reply, Session, http_client
from tests.support.processes import HttpServer, free_port
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replicas import await_readiness, readiness, replicas_of
from tests.support.stdio_client import stdio_client
from tests.support.streamable_http import (
    CONFIGURATION,
    ELICITATION,
    INITIALIZE,
    Gates,
    call_of,
    call_tool,
    new_key,
    results_of,
    text_of,
)
from tests.support.websocket_conversation import websocket

KEEP_ALIVE = 0.15  # seconds
PROMPTLY = 1.5  # seconds that any answer may take while Redis fails; a call to Redis may take 0.25
UPDATED = "notifications/resources/updated"
PATIENT = 2.0  # seconds that a call to Redis may take where a loaded machine must not count as a fault
RECOVERY = 10.0  # seconds after the return of Redis
FAULTS: list[Fault] = ["silent", "reset", "slow"]


@dataclass
class Place:
    """A Redis, a proxy in front of it, the replicas that use the proxy, and a client of each."""

    redis: RedisServer
    proxy: FaultyProxy
    servers: list[HttpServer]
    clients: list[HttpClient]

    def session(self) -> list[Session]:
        """Open a session at the first replica, and return it as a session of each."""
        opened = self.clients[0].handshake(capabilities=ELICITATION)
        return [opened, *(Session(client, opened.result, dict(opened.headers)) for client in self.clients[1:])]

    def break_redis(self, fault: Fault) -> None:
        """Begin a fault, and wait until every replica has noticed."""
        self.proxy.begin(fault, delay=3.0)
        for server in self.servers:
            await_readiness(server, "degraded")

    def mend_redis(self) -> None:
        """End the fault, and wait until every replica has recovered."""
        self.proxy.begin("none")
        begun = monotonic()
        for server in self.servers:
            await_readiness(server)
        assert monotonic() - begun < RECOVERY


@contextmanager
def placed(count: int, **settings: object) -> Iterator[Place]:
    with redis_server() as redis, faulty_proxy(redis.port) as proxy, ExitStack() as stack:
        given = {"server_keep_alive_seconds": KEEP_ALIVE, **settings}
        servers = stack.enter_context(replicas_of(proxy.url, count, **given))
        clients = [stack.enter_context(http_client(server.url)) for server in servers]
        yield Place(redis, proxy, servers, clients)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with placed(2) as shared:
        yield shared


@pytest.fixture(autouse=True)
def mended(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "place" in request.fixturenames:
        request.getfixturevalue("place").mend_redis()


def promptly(reply: Reply, begun: float) -> Reply:
    """Return a reply that came in time."""
    assert monotonic() - begun < PROMPTLY
    return reply


def assert_retryable(reply: Reply) -> None:
    """Assert that a reply asks the client to repeat the request."""
    assert (reply.status, reply.headers["retry-after"]) == (503, "1"), reply
    assert (reply.error["code"], reply.error["data"]["kind"]) == (-31007, "state_unavailable")
    assert "redis" not in reply.body.decode().lower()


@pytest.mark.parametrize("fault", FAULTS)
def test_without_redis_stateless_calls_go_on_and_sessions_are_refused_for_the_moment(
    place: Place, fault: Fault
) -> None:
    (session, _), begun = place.session(), monotonic()
    place.proxy.begin(fault, delay=3.0)
    for client in place.clients * 5:
        reply = client.call_stateless("tools/call", call_of("talk", count=0))
        assert text_of(reply.result) == "talked"
    place.break_redis(fault)
    for server in place.servers:
        assert readiness(server) == ("degraded", ["redis"])
    begun = monotonic()
    assert_retryable(promptly(place.clients[0].post(INITIALIZE), begun))
    begun = monotonic()
    assert_retryable(promptly(call_tool(session, "talk", count=0), begun))
    begun = monotonic()
    assert_retryable(promptly(session.notify("notifications/cancelled", {"requestId": 9}), begun))
    begun = monotonic()
    assert_retryable(promptly(session.delete(), begun))
    begun = monotonic()
    get = session.client.send("GET", None, {**session.headers, "Accept": EVENT_STREAM})
    assert_retryable(promptly(get, begun))
    place.mend_redis()
    assert text_of(call_tool(session, "talk", count=0).result) == "talked"
    assert session.delete().status == 204


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_that_runs_while_redis_fails_still_answers_its_client(place: Place, fault: Fault) -> None:
    (session, _), key = place.session(), new_key()
    gates = Gates(place.clients[0])
    call = session.request("tools/call", call_of("hold", key=key, aloud=True))
    with session.stream(call) as stream:
        stream.next_message()
        gates.await_state(key, "waiting")
        place.break_redis(fault)
        gates.open(key)
        assert text_of(stream.reply(call["id"])["result"]) == f"held {key}"
        stream.rest()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_result_that_came_while_redis_failed_is_resumed_afterwards(place: Place, fault: Fault) -> None:
    (session, elsewhere), key = place.session(), new_key()
    gates = Gates(place.clients[0])
    with session.stream(session.request("tools/call", call_of("hold", key=key, aloud=True))) as broken:
        broken.next_message()
        gates.await_state(key, "waiting")
    place.break_redis(fault)
    gates.open(key)
    gates.await_state(key, "finished")
    place.mend_redis()
    with elsewhere.listen(broken.last_event_id) as resumed:
        resumed.rest()
    assert results_of(resumed) == [f"held {key}"]


@pytest.mark.parametrize("fault", FAULTS)
def test_an_open_stream_survives_a_fault_of_redis_and_hears_of_changes_meanwhile(place: Place, fault: Fault) -> None:
    on_a, on_b = place.session()
    with on_b.listen() as stream:
        stream.next_event()
        place.break_redis(fault)
        place.clients[0].call_stateless("tools/call", call_of("change_tools"))
        place.mend_redis()
        assert stream.next_message()["method"] == "notifications/tools/list_changed"
        assert call_tool(on_a, "talk", count=0).status == 200


def test_a_killed_redis_that_returns_empty_lets_clients_begin_again() -> None:
    with placed(2) as place:
        (session, _) = place.session()
        place.redis.kill()
        for server in place.servers:
            await_readiness(server, "degraded")
        assert_retryable(place.clients[1].post(INITIALIZE))
        assert text_of(place.clients[1].call_stateless("tools/call", call_of("talk", count=0)).result) == "talked"
        with place.redis.running():
            place.mend_redis()
            assert call_tool(session, "talk", count=0).status == 404
            on_a, on_b = place.session()
            assert [call_tool(each, "talk", count=0).status for each in (on_a, on_b)] == [200, 200]


def test_a_server_that_begins_without_redis_serves_and_connects_when_it_is_there() -> None:
    with placed(1) as place, redis_server() as other:
        other.kill()
        with replicas_of(other, 1) as (server,), http_client(server.url) as client:
            assert readiness(server) == ("degraded", ["redis"])
            assert text_of(client.call_stateless("tools/call", call_of("talk", count=0)).result) == "talked"
            assert_retryable(client.post(INITIALIZE))
            with other.running():
                await_readiness(server)
                assert call_tool(client.handshake(), "talk", count=0).status == 200
        assert place.servers


def test_sessions_and_streams_of_a_killed_process_continue_at_the_other() -> None:
    with placed(2) as place:
        on_a, on_b = place.session()
        with on_a.listen() as broken:
            call_tool(on_b, "change_tools")
            broken.next_message()
            os.kill(place.servers[0].child.pid, signal.SIGKILL)
            broken.rest()
        assert text_of(call_tool(on_b, "talk", count=1).result) == "talked"
        wait_until(lambda: hears(on_b, broken.last_event_id or ""), "the stream goes on at the other", 15.0)
        assert on_b.delete().status == 204


def test_a_file_that_a_killed_process_watched_is_watched_by_the_one_that_continues_the_stream(tmp_path: Path) -> None:
    file = tmp_path / "watched"
    file.write_text("1")
    with placed(2, files_roots=f'["{tmp_path}"]') as place:
        on_a, on_b = place.session()
        assert on_a.call("resources/subscribe", {"uri": f"file://{file}"}).result == {}
        with on_a.listen() as broken:
            file.write_text("22")
            assert broken.next_message()["method"] == UPDATED
            os.kill(place.servers[0].child.pid, signal.SIGKILL)
            broken.rest()
        wait_until(lambda: hears(on_b, broken.last_event_id or ""), "the stream goes on at the other", 15.0)
        with on_b.listen(broken.last_event_id) as resumed:
            file.write_text("333")
            while resumed.next_message()["method"] != UPDATED:
                pass


def test_a_file_that_both_watch_is_reported_once(tmp_path: Path) -> None:
    file = tmp_path / "watched"
    file.write_text("1")
    with placed(2, files_roots=f'["{tmp_path}"]') as place, ExitStack() as stack:
        streams = []
        for client in place.clients:
            session = client.handshake()
            session.call("resources/subscribe", {"uri": f"file://{file}"})
            streams.append(stack.enter_context(session.listen()))
            streams[-1].next_event()
        file.write_text("22")
        for stream in streams:
            assert stream.next_message()["method"] == UPDATED
        place.clients[0].call_stateless("tools/call", call_of("change_tools"))
        for stream in streams:
            assert stream.next_message()["method"] == "notifications/tools/list_changed"


def test_a_file_that_a_tool_writes_and_others_watch_is_reported_once_where_the_stream_is(tmp_path: Path) -> None:
    file = tmp_path / "watched"
    file.write_text("1")
    with placed(3, files_roots=f'["{tmp_path}"]') as place:
        on_a, on_b, on_c = place.session()
        with on_c.listen() as stream:
            stream.next_event()
            assert on_a.call("resources/subscribe", {"uri": f"file://{file}"}).result == {}
            call_tool(on_b, "write_file", path=str(file), content="22")
            assert stream.next_message()["method"] == UPDATED
            begun = monotonic()
            while monotonic() < begun + 1.0:  # every process that watches files compares them twice a second
                stream.next_comment()
            assert len(stream.messages()) == 1


def hears(session: Session, last_event_id: str) -> bool:
    """Return whether a change reaches a resumed stream."""
    with session.listen(last_event_id) as resumed:
        call_tool(session, "change_tools")
        try:
            return bool(resumed.next_message(2.0)["method"] == "notifications/tools/list_changed")
        except (EOFError, TimeoutError):
            return False


def test_the_stream_of_a_call_ends_with_the_process_that_ran_it() -> None:
    with placed(2) as place:
        (on_a, on_b), key = place.session(), new_key()
        with on_a.stream(on_a.request("tools/call", call_of("hold", key=key, aloud=True))) as broken:
            broken.next_message()
        with on_b.listen(broken.last_event_id) as resumed:
            os.kill(place.servers[0].child.pid, signal.SIGKILL)
            resumed.rest(20.0)
        assert results_of(resumed) == []


def test_the_limit_of_sessions_holds_for_all_processes_together() -> None:
    most = 9
    with (
        placed(3, mcp_max_sessions_per_caller=most, state_timeout_seconds=PATIENT) as place,
        ThreadPoolExecutor(12) as threads,
    ):
        opened = list(threads.map(lambda number: place.clients[number % 3].post(INITIALIZE).status, range(60)))
        assert opened == [200] * 60  # the longest idle ones made room
        assert [server.sessions() for server in place.servers] == [most] * 3


def test_a_rate_limit_holds_for_all_processes_together_and_is_shared_out_without_redis() -> None:
    limit = 300
    settings = {
        "limits_anonymous_calls_per_minute": limit,
        "limits_burst": limit,
        "state_timeout_seconds": PATIENT,
    }
    with placed(3, **settings) as place, ThreadPoolExecutor(12) as threads:

        def allowed(calls: int) -> int:
            def call(number: int) -> bool:
                return place.clients[number % 3].call_stateless("tools/list").status == 200

            return sum(threads.map(call, range(calls)))

        begun = monotonic()
        first = allowed(2 * limit)
        refilled = (monotonic() - begun) * limit / 60
        assert limit <= first <= (limit + refilled) * 1.01 + 1
        wait_until(lambda: monotonic() > begun + 3, "each process has heard of the others")
        place.break_redis("silent")
        begun = monotonic()
        second = allowed(2 * limit)
        refilled = (monotonic() - begun) * limit / 60
        assert limit <= second <= (limit + refilled) * 1.01 + 3


@pytest.mark.parametrize("fault", FAULTS)
def test_no_call_waits_for_a_failing_redis(place: Place, fault: Fault) -> None:
    sessions = [client.handshake() for client in place.clients]
    place.proxy.begin(fault, delay=3.0)
    for number in range(20):
        begun = monotonic()
        promptly(call_tool(sessions[number % 2], "talk", count=0), begun)


def test_the_password_of_redis_appears_nowhere() -> None:
    secret = "very-secret-word"
    with redis_server("--requirepass", "another") as redis:
        url = redis.url.replace("redis://", f"redis://tenant:{secret}@")
        with replicas_of(url, 1, logging_level="debug") as (server,), http_client(server.url) as client:
            assert readiness(server) == ("degraded", ["redis"])
            assert_retryable(client.post(INITIALIZE))
            shown = client.call_stateless("resources/read", {"uri": "config://server"})
            assert secret not in shown.body.decode()
            assert f"127.0.0.1:{redis.port}" in shown.body.decode()
            wait_until(lambda: "redis is unavailable" in server.child.stderr(), "the fault is logged")
            assert secret not in server.child.stderr()


def test_sessions_of_a_killed_process_that_had_connections_stop_counting() -> None:
    with placed(2, mcp_max_sessions_per_caller=3) as place:
        here, there = place.servers
        with ExitStack() as stack:
            for _ in range(3):
                connection = stack.enter_context(websocket(here, close_timeout=0))
                connection.send(json.dumps(INITIALIZE))
                assert "result" in json.loads(connection.recv(PATIENCE))
            assert there.sessions() == 3
            refused = place.clients[1].post(INITIALIZE)
            assert (refused.status, refused.error["data"]["kind"]) == (429, "too_many_sessions")
            os.kill(here.child.pid, signal.SIGKILL)
            wait_until(lambda: there.sessions() == 0, "the lease of the killed process has ended")
        assert place.clients[1].post(INITIALIZE).status == 200


def test_a_connection_opens_its_session_while_redis_is_down() -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    with stdio_client(CONFIGURATION, variables={"TELEMETRYFLOW_MCP_STATE_URL": nowhere}) as client:
        client.handshake()
        assert text_of(client.call("tools/call", call_of("talk", count=1))["result"]) == "talked"
        client.call("shutdown")
