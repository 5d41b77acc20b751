"""Three replicas behind an nginx that sends each request to the next one, without any affinity.

`make replicas` runs whole suites against them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.support.balanced import BalancedServer, balanced_server
from tests.support.envelopes import response
from tests.support.http_client import HttpClient, Session, http_client
from tests.support.processes import PROJECT
from tests.support.sse_conversation import SseConversation
from tests.support.streamable_http import CONFIGURATION, ELICITATION, call_of, call_tool, results_of, text_of

PROCESSES = 3
TIMES = 10


@dataclass
class Place:
    """The replicas behind nginx, and a client of nginx."""

    server: BalancedServer
    client: HttpClient


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    variables = {"PYTHONPATH": str(PROJECT), "TELEMETRYFLOW_MCP_LOGGING_LEVEL": "info"}
    with (
        balanced_server(CONFIGURATION, PROCESSES, variables=variables) as server,
        http_client(server.url) as client,
    ):
        yield Place(server, client)


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_client_does_not_notice_which_process_serves_it(place: Place, revision: str) -> None:
    for _ in range(TIMES):
        session = place.client.handshake(revision, ELICITATION)
        assert session.call("tools/list").result["tools"]
        assert text_of(call_tool(session, "talk", count=3).result) == "talked"
        assert session.call("resources/subscribe", {"uri": "memo://one"}).result == {}
        assert session.call("logging/setLevel", {"level": "error"}).result == {}
        assert call_tool(session, "talk", count=1).notifications() == []
        assert session.delete().status == 204
        assert session.call("tools/list").status == 404


def test_questions_are_answered_and_streams_resumed_by_any_process(place: Place) -> None:
    for number in range(TIMES):
        session = place.client.handshake(capabilities=ELICITATION)
        call = session.request("tools/call", call_of("ask_name"))
        with session.stream(call) as broken:
            question = broken.next_message()
        answer = response(question["id"], {"action": "accept", "content": {"name": f"Ada {number}"}})
        assert session.post(answer).status == 202
        with session.listen(broken.last_event_id) as resumed:
            resumed.rest()
        assert results_of(resumed) == [f"Hello, Ada {number}!"]


def test_changes_and_updates_reach_the_stream_of_get_from_every_process(place: Place) -> None:
    session = place.client.handshake()
    session.call("resources/subscribe", {"uri": "memo://one"})
    with session.listen() as stream:
        stream.next_event()
        for _ in range(2 * PROCESSES):
            call_tool(session, "change_tools")
            assert stream.next_message()["method"] == "notifications/tools/list_changed"
            call_tool(session, "touch_memo", memo="one")
            assert stream.next_message()["method"] == "notifications/resources/updated"


def test_many_clients_at_once_are_served_without_a_failure(place: Place) -> None:
    def converse(_: int) -> int:
        with http_client(place.server.url) as client:
            session: Session = client.handshake()
            statuses = [call_tool(session, "talk", count=1).status for _ in range(20)]
            return statuses.count(200) + (session.delete().status == 204)

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(converse, range(24))) == [21] * 24
    assert place.server.proxy.problems() == []
    assert all("outcome=ok" in server.child.stderr() for server in place.server.replicas)


def test_http_sse_reaches_the_process_that_has_the_stream(place: Place) -> None:
    for _ in range(2 * PROCESSES):
        with closing(SseConversation(place.server, "2024-11-05")) as conversation:
            conversation.handshake()
            assert conversation.result("tools/list")["tools"]
