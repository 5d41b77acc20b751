"""Isolation of callers: sessions, streams and sealed state of one caller do not exist for another."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.guarded import Guarded, guarded
from tests.support.http_client import EVENT_STREAM, HEADERS
from tests.support.sse import lines_of, parse_events

UNKNOWN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture(scope="module")
def owner(gate: Guarded) -> Iterator[httpx.Client]:
    with gate.client(gate.key("admin")) as client:
        yield client


@pytest.fixture(scope="module")
def thief(gate: Guarded) -> Iterator[httpx.Client]:
    with gate.client(gate.key("admin")) as client:
        yield client


def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Return everything that a client sees of a response except the date."""
    return answer.status_code, answer.content, {name: value for name, value in answer.headers.items() if name != "date"}


REQUESTS: list[tuple[str, Any]] = [
    ("POST", request(2, "ping")),
    ("POST", request(2, "tools/list", {})),
    ("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
    ("POST", {"jsonrpc": "2.0", "id": 1, "result": {}}),
    ("POST", [request(2, "ping")]),
    ("GET", None),
    ("DELETE", None),
]


@pytest.mark.parametrize(("verb", "message"), REQUESTS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("resuming", [False, True])
def test_a_session_of_another_is_answered_as_an_unknown_one(
    gate: Guarded, owner: httpx.Client, thief: httpx.Client, verb: str, message: Any, resuming: bool
) -> None:
    """R53, R54."""
    session = gate.session(owner)
    more = {"Accept": EVENT_STREAM, **({"Last-Event-ID": "abcdef-0"} if resuming else {})} if verb == "GET" else {}
    answers = [
        thief.request(verb, "/mcp", json=message, headers={**more, "Mcp-Session-Id": name})
        for name in (session, UNKNOWN)
    ]
    assert seen(answers[0]) == seen(answers[1])
    assert answers[0].status_code == 404
    assert owner.post("/mcp", json=request(3, "ping"), headers={"Mcp-Session-Id": session}).status_code == 200


def test_a_stream_of_another_is_not_resumed_by_its_events_id(
    gate: Guarded, owner: httpx.Client, thief: httpx.Client
) -> None:
    """R51, R54."""
    mine, theirs = gate.session(owner), gate.session(thief)
    params = {"name": "progress", "arguments": {"values": [1, 2, 3]}, "_meta": {"progressToken": 1}}
    call = request(7, "tools/call", params)
    with owner.stream("POST", "/mcp", json=call, headers={"Mcp-Session-Id": mine}) as stream:
        events = list(parse_events(lines_of(stream.iter_bytes())))
    last = next(event.id for event in events if event.id)
    for session, status in ((mine, 404), (theirs, 200)):
        headers = {**HEADERS, "Accept": EVENT_STREAM, "Mcp-Session-Id": session, "Last-Event-ID": last}
        with thief.stream("GET", "/mcp", headers=headers) as answer:
            assert answer.status_code == status
            if status == 200:  # the thief's own stream, without events of the owner
                first = next(answer.iter_bytes())
                assert b"data: {" not in first


def test_a_message_is_not_taken_at_the_endpoint_of_another(
    gate: Guarded, owner: httpx.Client, thief: httpx.Client
) -> None:
    """R54, R103."""
    with owner.stream("GET", "/sse", headers={"Accept": EVENT_STREAM}) as stream:
        events = parse_events(lines_of(stream.iter_bytes()))
        endpoint = str(next(event.data for event in events if event.event == "endpoint"))
        unknown = endpoint.rpartition("=")[0] + "=" + "x" * 32
        answers = [thief.post(path, json=request(1, "ping")) for path in (endpoint, unknown)]
        assert seen(answers[0]) == seen(answers[1])
        assert answers[0].status_code == 404
        assert owner.post(endpoint, json=request(1, "ping")).status_code == 202


class TestRequestState:
    def ask(self, client: httpx.Client, **more: Any) -> httpx.Response:
        params = {"name": "ask_name", "arguments": {"greeting": "Hi"}, **more}
        message = request(1, "tools/call", stateless_params(params, capabilities={"elicitation": {"form": {}}}))
        return client.post("/mcp", json=message, headers=stateless_headers(message))

    def answers(self, asked: Any) -> dict[str, Any]:
        (key,) = asked["inputRequests"]
        return {key: {"action": "accept", "content": {"name": "Ada"}}}

    def test_state_of_another_caller_is_refused(self, owner: httpx.Client, thief: httpx.Client) -> None:
        """R94."""
        asked = self.ask(owner).json()["result"]
        assert asked["resultType"] == "input_required"
        retry = {"requestState": asked["requestState"], "inputResponses": self.answers(asked)}
        stolen = self.ask(thief, **retry).json()["error"]
        assert (stolen["code"], stolen["data"]["kind"]) == (-32602, "invalid_params")
        answered = self.ask(owner, **retry).json()["result"]
        assert answered["content"][0]["text"].startswith("Hi, accept")

    def test_state_that_was_altered_is_refused(self, owner: httpx.Client) -> None:
        """R94."""
        asked = self.ask(owner).json()["result"]
        state = asked["requestState"]
        for place in range(0, len(state), 7):
            altered = state[:place] + ("A" if state[place] != "A" else "B") + state[place + 1 :]
            answer = self.ask(owner, requestState=altered, inputResponses=self.answers(asked))
            assert answer.json()["error"]["code"] == -32602, place
