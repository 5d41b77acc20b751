"""Replicas: two servers that share state serve one client, whichever of them a request reaches.

They are two processes that share a Redis; or both are built by `tfo_mcp.bootstrap.build` with one `SharedState` and run
behind a real uvicorn on loopback, in one event loop on a thread of its own. The test is their client, over sockets, and
chooses the replica for each request. The replicas must behave like a single process (R49, R50, R51, R52, R53, R54).
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from pydantic import SecretStr

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import initialize_params, notification, request, response
from tests.support.http_client import EVENT_STREAM, HttpClient, Session, http_client
from tests.support.processes import LOOPBACK, PROJECT, http_server
from tests.support.redis_server import redis_server
from tests.support.replicas import replicas_of
from tests.support.streamable_http import CONFIGURATION, ELICITATION, Gates, call_of, call_tool, new_key, text_of
from tfo_mcp.application.ports import StreamId
from tfo_mcp.bootstrap import Settings, SharedState, build
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.infrastructure.config.access_sections import SecuritySettings
from tfo_mcp.infrastructure.config.sections import McpSettings, ServerSettings
from tfo_mcp_transports.asgi import create_app

PLUGIN = "tests.support.plugins.http_tools"
KEEP_ALIVE = 0.15  # seconds


class Replicas(threading.Thread):
    """The two servers: `ports` are known from the start, and `ready` is set once both serve."""

    def __init__(self) -> None:
        super().__init__(name="replicas", daemon=True)
        self.ready = threading.Event()
        self.problem: BaseException | None = None
        self._sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(2)]
        self.ports = [int(listener.getsockname()[1]) for listener in self._sockets]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: list[uvicorn.Server] = []
        self._state: SharedState | None = None

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            asyncio.run(self._serve())
        except BaseException as problem:
            self.problem = problem
            raise
        finally:
            self.ready.set()

    def stop(self) -> None:
        """Stop both and wait for their end."""
        for server in self._servers:
            server.should_exit = True
        self.join(PATIENCE)

    def keeps(self, session_id: str, event_id: str) -> bool:
        """Return whether the shared log still holds the stream of an event."""
        assert self._loop is not None
        assert self._state is not None
        stream = StreamId(SessionId(session_id), event_id.rpartition("-")[0])
        return asyncio.run_coroutine_threadsafe(self._state.streams.exists(stream), self._loop).result(PATIENCE)

    async def _serve(self) -> None:
        settings = Settings(
            server=ServerSettings(keep_alive_seconds=KEEP_ALIVE),
            mcp=McpSettings(plugins=[PLUGIN], state_key=SecretStr("a key that both replicas were given")),
            security=SecuritySettings(anonymous="all"),
        )
        self._loop = asyncio.get_running_loop()
        self._state = SharedState.embedded(settings)
        applications = [create_app(build(settings, self._state), settings) for _ in self.ports]
        self._servers = [uvicorn.Server(uvicorn.Config(served, log_config=None)) for served in applications]
        async with asyncio.TaskGroup() as tasks:
            for server, listener in zip(self._servers, self._sockets, strict=True):
                tasks.create_task(server.serve(sockets=[listener]))
            while not all(server.started for server in self._servers):
                await asyncio.sleep(0)
            self.ready.set()


@dataclass
class Pair:
    """A client of each replica, the gates of A, and whether the shared log has the stream of a session's event."""

    a: HttpClient
    b: HttpClient
    gates: Gates
    keeps: Callable[[str, str], bool]

    def session(self, revision: str = "2025-11-25") -> tuple[Session, Session]:
        """Open a session on A, and return it as a session of A and of B."""
        on_a = self.a.handshake(revision, ELICITATION)
        return on_a, Session(self.b, on_a.result, dict(on_a.headers))


@pytest.fixture(scope="module", params=["one process", "redis"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with in_one_process() if request.param == "one process" else in_two_processes() as both:
        yield both


@contextmanager
def in_two_processes() -> Iterator[Pair]:
    """Run two processes that share a Redis."""
    with redis_server() as redis, replicas_of(redis, 2, server_keep_alive_seconds=KEEP_ALIVE) as (one, two):

        def keeps(session_id: str, event_id: str) -> bool:
            name = event_id.rpartition("-")[0]
            return redis.command("EXISTS", f"tfo-mcp:stream:{session_id}:{name}") == b":1\r\n"

        with http_client(one.url) as a, http_client(two.url) as b:
            yield Pair(a, b, Gates(a), keeps)


@contextmanager
def in_one_process() -> Iterator[Pair]:
    """Run two applications in one process that share its memory."""
    replicas = Replicas()
    replicas.start()
    assert replicas.ready.wait(PATIENCE)
    assert replicas.problem is None
    urls = [f"http://{LOOPBACK}:{port}/mcp" for port in replicas.ports]
    with http_client(urls[0]) as a, http_client(urls[1]) as b:
        yield Pair(a, b, Gates(a), replicas.keeps)
    replicas.stop()
    assert not replicas.is_alive()


def let_time_pass(pair: Pair) -> None:
    """Wait for some keep-alive comments on an otherwise unused stream."""
    with pair.session()[1].listen() as clock:
        clock.next_event()
        for _ in range(3):
            clock.next_comment()


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_session_that_one_opened_is_served_by_the_other(pair: Pair, revision: str) -> None:
    on_a, on_b = pair.session(revision)
    assert text_of(call_tool(on_b, "talk", count=1).result) == "talked"
    assert on_b.call("logging/setLevel", {"level": "error"}).result == {}
    assert call_tool(on_a, "talk", count=1).notifications("notifications/message") == []


def test_a_session_that_was_confirmed_at_the_other_is_ready(pair: Pair) -> None:
    opened = pair.a.post(request(1, "initialize", initialize_params("2025-11-25")))
    headers = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
    assert "error" in pair.b.post(request(2, "tools/list"), headers).message
    assert pair.b.post(notification("notifications/initialized"), headers).status == 202
    assert pair.a.post(request(3, "tools/list"), headers).result["tools"]


def test_a_session_that_the_other_ended_is_gone_here_with_its_calls(pair: Pair) -> None:
    on_a, on_b = pair.session()
    key = new_key()
    with on_a.listen() as stream, on_a.stream(on_a.request("tools/call", call_of("hold", key=key, aloud=True))) as call:
        call.next_message()
        pair.gates.await_state(key, "waiting")
        assert on_b.delete().status == 204
        assert not [event for event in stream.rest() if event.data]
        assert not [event for event in call.rest() if event.data]
    pair.gates.await_state(key, "cancelled")
    assert on_a.call("ping").status == 404


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25"])
def test_a_question_that_one_asked_is_answered_at_the_other(pair: Pair, revision: str) -> None:
    on_a, on_b = pair.session(revision)
    asking = on_a.request("tools/call", call_of("ask_name"))
    with on_a.stream(asking) as stream:
        question = stream.next_message()
        answer = response(question["id"], {"action": "accept", "content": {"name": "Ada"}})
        assert on_b.post(answer).status == 202
        assert text_of(stream.reply(asking["id"])["result"]) == "Hello, Ada!"


def test_questions_of_both_have_ids_of_their_own(pair: Pair) -> None:
    on_a, on_b = pair.session()
    asking = [session.request("tools/call", call_of("ask_name")) for session in (on_a, on_b)]
    with on_a.stream(asking[0]) as one, on_b.stream(asking[1]) as two:
        first, second = one.next_message(), two.next_message()
        assert first["id"] != second["id"]
        on_a.post(response(second["id"], {"action": "accept", "content": {"name": "Bob"}}))
        on_b.post(response(first["id"], {"action": "accept", "content": {"name": "Ada"}}))
        assert text_of(one.reply(asking[0]["id"])["result"]) == "Hello, Ada!"
        assert text_of(two.reply(asking[1]["id"])["result"]) == "Hello, Bob!"


def test_a_call_that_runs_here_is_cancelled_at_the_other(pair: Pair) -> None:
    on_a, on_b = pair.session()
    key = new_key()
    call = on_a.request("tools/call", call_of("hold", key=key, aloud=True))
    with on_a.stream(call) as stream:
        stream.next_message()
        pair.gates.await_state(key, "waiting")
        assert on_b.notify("notifications/cancelled", {"requestId": call["id"]}).status == 202
        assert not [event for event in stream.rest() if event.data]
    pair.gates.await_state(key, "cancelled")


def test_shutdown_at_one_lets_a_call_at_the_other_finish(pair: Pair) -> None:
    on_a, on_b = pair.session()
    key = new_key()
    call = on_a.request("tools/call", call_of("hold", key=key, aloud=True))
    with on_b.listen() as listening, on_a.stream(call) as stream:
        listening.next_event()
        stream.next_message()
        pair.gates.await_state(key, "waiting")
        assert on_b.call("shutdown").result == {}
        for session in (on_a, on_b):
            assert "closing" in session.call("tools/list").message["error"]["message"]
        pair.gates.open(key)
        assert text_of(stream.reply(call["id"])["result"]) == f"held {key}"
        assert not [event for event in listening.rest() if event.data]
    assert on_a.call("ping").status == 404


def test_shutdown_ends_calls_at_the_other_that_do_not_finish() -> None:
    with (
        redis_server() as redis,
        replicas_of(redis, 2, server_drain_seconds=0.5) as (one, two),
        http_client(one.url) as a,
        http_client(two.url) as b,
    ):
        pair, key = Pair(a, b, Gates(a), lambda *_: False), new_key()
        on_a, on_b = pair.session()
        with on_a.stream(on_a.request("tools/call", call_of("hold", key=key, aloud=True))) as stream:
            stream.next_message()
            pair.gates.await_state(key, "waiting")
            assert on_b.call("shutdown").result == {}
            assert not [event for event in stream.rest() if event.data]
        pair.gates.await_state(key, "cancelled")
        assert on_b.call("ping").status == 404


def test_a_cancellation_reaches_the_calls_of_its_own_session_alone(pair: Pair) -> None:
    (on_a, on_b), (other, _), key = pair.session(), pair.session(), new_key()
    call = other.request("tools/call", call_of("hold", key=key, aloud=True))
    with other.stream(call) as stream:
        stream.next_message()
        pair.gates.await_state(key, "waiting")
        for session in (on_a, on_b):
            session.notify("notifications/cancelled", {"requestId": call["id"]})
        pair.gates.open(key)
        assert text_of(stream.reply(call["id"])["result"]) == f"held {key}"


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_stream_that_one_began_is_resumed_at_the_other(pair: Pair, revision: str) -> None:
    on_a, on_b = pair.session(revision)
    key = new_key()
    with on_a.stream(on_a.request("tools/call", call_of("hold", key=key, aloud=True))) as broken:
        broken.next_message()
        pair.gates.await_state(key, "waiting")
    with on_b.listen(broken.last_event_id) as resumed:
        pair.gates.open(key)
        events = [event for event in resumed.rest() if event.data]
    assert [message.get("method") for message in resumed.messages()] == ["notifications/message", None]
    assert text_of(resumed.messages()[-1]["result"]) == f"held {key}"
    assert not {event.id for event in events} & {event.id for event in broken.events}


def test_a_change_here_reaches_the_stream_of_get_at_the_other_once(pair: Pair) -> None:
    on_a, on_b = pair.session()
    with on_b.listen() as stream:
        stream.next_event()
        for number in (1, 2):
            call_tool(on_a, "change_tools")
            assert stream.next_message()["method"] == "notifications/tools/list_changed"
            assert len(stream.messages()) == number


def test_the_stream_of_get_is_resumed_at_the_other_with_what_was_missed(pair: Pair) -> None:
    on_a, on_b = pair.session()
    with on_a.listen() as broken:
        call_tool(on_b, "change_tools")
        broken.next_message()
    call_tool(on_b, "change_tools")
    with on_b.listen(broken.last_event_id) as resumed:
        assert resumed.next_message()["method"] == "notifications/tools/list_changed"


def test_a_stateless_question_of_one_is_answered_at_the_other(pair: Pair) -> None:
    first = pair.a.call_stateless("tools/call", call_of("ask_name"), capabilities=ELICITATION).result
    answer = {
        "inputResponses": {"name": {"action": "accept", "content": {"name": "Ada"}}},
        "requestState": first["requestState"],
    }
    retry = pair.b.call_stateless("tools/call", {**call_of("ask_name"), **answer}, capabilities=ELICITATION)
    assert text_of(retry.result) == "Hello, Ada!"


def test_a_stateless_subscription_here_hears_of_a_change_at_the_other(pair: Pair) -> None:
    listen, headers = pair.a.stateless_request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    with pair.a.stream("POST", listen, headers) as stream:
        assert stream.next_message()["method"] == "notifications/subscriptions/acknowledged"
        pair.b.call_stateless("tools/call", call_of("change_tools"))
        assert stream.next_message()["method"] == "notifications/tools/list_changed"


@pytest.mark.parametrize("ended_at", ["a", "b"])
def test_nothing_of_a_session_is_kept_after_its_end(pair: Pair, ended_at: str) -> None:
    """A stream that ends with its session is not added to the log again, where nothing would remove it."""
    on_a, on_b = pair.session()
    key = new_key()
    with on_a.stream(on_a.request("tools/call", call_of("hold", key=key, aloud=True))) as stream:
        stream.next_message()
        event_id = stream.last_event_id or ""
        session_id = on_a.headers["Mcp-Session-Id"]
        assert pair.keeps(session_id, event_id)
        assert (on_a if ended_at == "a" else on_b).delete().status == 204
        stream.rest()
    pair.gates.await_state(key, "cancelled")
    wait_until(lambda: not pair.keeps(session_id, event_id), "the stream is forgotten", 2.0)


def test_a_session_has_one_stream_of_get_whichever_process_it_is_asked_of(pair: Pair) -> None:
    on_a, on_b = pair.session()
    with on_a.listen() as stream:
        stream.next_event()
        for session in (on_a, on_b):
            assert session.client.send("GET", None, {**session.headers, "Accept": EVENT_STREAM}).status == 409
    wait_until(lambda: opens(on_b), "the stream may be opened at the other")


def opens(session: Session) -> bool:
    """Return whether the session's stream of GET can be opened."""
    with session.listen() as stream:
        return stream.status == 200


def test_a_client_that_resumes_its_stream_at_the_other_is_its_reader(pair: Pair) -> None:
    on_a, on_b = pair.session()
    with on_a.listen() as first:
        first.next_event()
        with on_b.listen(first.last_event_id) as second:
            assert second.status == 200
            call_tool(on_a, "change_tools")
            assert second.next_message()["method"] == "notifications/tools/list_changed"
            assert on_a.client.send("GET", None, {**on_a.headers, "Accept": EVENT_STREAM}).status == 409


def test_an_update_that_one_announces_reaches_who_subscribed_at_the_other(pair: Pair) -> None:
    on_a, on_b = pair.session()
    uri = "memo://one"
    assert on_a.call("resources/subscribe", {"uri": uri}).result == {}
    with on_b.listen() as stream:
        stream.next_event()
        for session in (on_a, on_b):
            call_tool(session, "touch_memo", memo="one")
            message = stream.next_message()
            assert (message["method"], message["params"]) == ("notifications/resources/updated", {"uri": uri})
    assert on_b.call("resources/unsubscribe", {"uri": uri}).result == {}


def test_levels_and_subscriptions_that_are_set_at_both_at_once_are_all_kept(pair: Pair) -> None:
    on_a, on_b = pair.session()
    uris = [f"memo://{number}" for number in range(12)]
    with ThreadPoolExecutor(len(uris)) as threads:
        sessions = [on_a, on_b] * (len(uris) // 2)
        subscribing = [
            threads.submit(session.call, "resources/subscribe", {"uri": uri})
            for session, uri in zip(sessions, uris, strict=True)
        ]
        assert [each.result().result for each in subscribing] == [{}] * len(uris)
    with on_a.listen() as stream:
        stream.next_event()
        for number, uri in enumerate(uris):
            call_tool(on_b, "touch_memo", memo=str(number))
            assert stream.next_message()["params"] == {"uri": uri}


def test_a_server_with_redis_and_without_a_state_key_warns_when_it_starts() -> None:
    warning = "replicas refuse each other's requestState: give all of them the same mcp.state_key"
    with redis_server() as redis, replicas_of(redis, 1) as (keyed,):
        variables = {"PYTHONPATH": str(PROJECT), "TELEMETRYFLOW_MCP_STATE_URL": redis.url}
        with http_server(CONFIGURATION, variables=variables) as keyless:
            wait_until(lambda: warning in keyless.child.stderr(), "the server warns")
        assert warning not in keyed.child.stderr()
