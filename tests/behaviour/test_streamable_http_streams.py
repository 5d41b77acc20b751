"""Streamable HTTP streams: their first event, one stream per message, and keep-alive.

Sources: transports, Multiple Connections (2025-03-26 to 2025-11-25); 2026-07-28 transports, Receiving Messages.
"""

import pytest

from tests.behaviour.matrix import BY_PROXY
from tests.support.envelopes import STATELESS, response
from tests.support.http_client import EVENT_STREAM, EventStream, HttpClient
from tests.support.streamable_http import (
    ELICITATION,
    PRIMED,
    RESUMABLE,
    SESSIONS,
    UNPRIMED,
    Gates,
    call_of,
    call_tool,
    data_of,
    event_id,
    held,
    let_time_pass,
    new_key,
    results_of,
    text_of,
)

KEEP_ALIVE = 0.15  # seconds
SETTINGS = {"server_keep_alive_seconds": KEEP_ALIVE}


# The beginning of a stream, and its messages


@BY_PROXY
@pytest.mark.parametrize("revision", SESSIONS)
def test_a_stream_asks_proxies_to_pass_it_on_at_once(client: HttpClient, gates: Gates, revision: str) -> None:
    """R63: on POST and on GET."""
    session, key = client.handshake(revision), new_key()
    with session.listen() as listening, session.stream(held(session, key)) as called:
        for stream in (listening, called):
            assert (stream.status, stream.headers["content-type"]) == (200, EVENT_STREAM)
            assert stream.headers["x-accel-buffering"] == "no"
            assert "no-cache" in stream.headers["cache-control"]
        gates.open(key)


@BY_PROXY
def test_a_stream_of_the_stateless_era_asks_proxies_to_pass_it_on_at_once(client: HttpClient) -> None:
    """R63: of a call and of a subscription."""
    listen, mirrored = client.stateless_request("subscriptions/listen", {"notifications": {}})
    reply = client.call_stateless("tools/call", call_of("talk", count=1), log_level="info")
    with client.stream("POST", listen, mirrored) as subscription:
        for headers in (reply.headers, subscription.headers):
            assert headers["content-type"] == EVENT_STREAM
            assert headers["x-accel-buffering"] == "no"
            assert "no-cache" in headers["cache-control"]


@pytest.mark.parametrize("revision", PRIMED)
def test_a_stream_begins_with_an_empty_event_that_has_an_id(client: HttpClient, revision: str) -> None:
    """R51: on POST and on GET."""
    session = client.handshake(revision)
    first = call_tool(session, "talk", count=1).events[0]
    assert (first.data, bool(first.id)) == ("", True)
    with session.listen() as stream:
        first = stream.next_event()
        assert (first.data, bool(first.id)) == ("", True)


@pytest.mark.parametrize("revision", UNPRIMED)
def test_no_event_is_empty_where_a_revision_does_not_know_of_it(client: HttpClient, revision: str) -> None:
    """R51: older clients treat empty data as a malformed message."""
    session = client.handshake(revision)
    assert all(event.data for event in call_tool(session, "talk", count=2).events)
    with session.listen() as stream:
        call_tool(session, "change_tools")
        assert stream.next_event().data


@pytest.mark.parametrize("revision", RESUMABLE)
def test_event_ids_are_unique_in_the_session(client: HttpClient, revision: str) -> None:
    """R51: over several POST streams and the GET stream."""
    session = client.handshake(revision)
    identifiers: list[str | None] = []
    with session.listen() as stream:
        for _ in range(5):
            identifiers += [event.id for event in call_tool(session, "talk", count=3).events]
            call_tool(session, "change_tools")
            stream.next_message()
        identifiers += [event.id for event in stream.events]
    assert None not in identifiers
    assert len(set(identifiers)) == len(identifiers)


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25"])
def test_each_message_goes_to_one_stream_only(client: HttpClient, gates: Gates, revision: str) -> None:
    """R49, R50: with one GET and two POST streams, logs and questions go to their call, changes to GET."""
    session, key = client.handshake(revision, ELICITATION), new_key()
    asking = session.request("tools/call", call_of("say_change_and_ask"))
    with session.listen() as listening, session.stream(held(session, key)) as waiting:
        assert waiting.next_message()["params"]["data"] == f"{key} waits"
        with session.stream(asking) as asked:
            assert asked.next_message()["params"]["data"] == "before the change"
            question = asked.next_message()
            assert question["method"] == "elicitation/create"
            assert listening.next_message()["method"] == "notifications/tools/list_changed"
            session.post(response(question["id"], {"action": "accept", "content": {"name": "Ada"}}))
            asked.rest()
            assert results_of(asked) == ["Hello, Ada!"]
        gates.open(key)
        assert data_of(waiting) == [f"{key} waits", f"{key} is open"]
        let_time_pass(client)
        call_tool(session, "change_tools")
        listening.next_message()
    methods = [[message.get("method") for message in stream.messages()] for stream in (listening, asked, waiting)]
    assert methods[0] == ["notifications/tools/list_changed"] * 2
    assert methods[1] == ["notifications/message", "elicitation/create", None]
    assert methods[2] == ["notifications/message", "notifications/message", None]


def test_a_message_goes_to_one_of_two_connections_of_the_same_stream(client: HttpClient) -> None:
    """R50: a client that resumes while its old connection seems open gets no message twice."""
    session = client.handshake()
    with session.listen() as old:
        old.next_event()
        with session.listen(event_id(old)) as new:
            assert new.status == 200
            call_tool(session, "change_tools")
            let_time_pass(client)
            call_tool(session, "change_tools")
            let_time_pass(client)
            assert session.delete().status == 204
            old.rest()
            new.rest()
    assert len(old.messages()) + len(new.messages()) == 2


def test_every_session_is_told_of_a_change_once(client: HttpClient) -> None:
    """R50, R70."""
    first, second = client.handshake("2025-11-25"), client.handshake("2025-03-26")
    with first.listen() as one, second.listen() as two:
        call_tool(first, "change_tools")
        for stream in (one, two):
            assert stream.next_message()["method"] == "notifications/tools/list_changed"
        call_tool(second, "change_tools")
        for stream in (one, two):
            assert stream.next_message()["method"] == "notifications/tools/list_changed"
            assert len(stream.messages()) == 2


# Keep-alive


@pytest.mark.parametrize("revision", SESSIONS)
def test_a_silent_stream_gets_comments(client: HttpClient, gates: Gates, revision: str) -> None:
    """R63: on POST and on GET; comments do not disturb the messages after them."""
    session, key = client.handshake(revision), new_key()
    with session.listen() as listening, session.stream(held(session, key)) as called:
        if revision in PRIMED:
            listening.next_event()
        called.next_message()
        for stream in (called, listening):
            for _ in range(3):
                assert stream.next_comment()
        gates.open(key)
        assert data_of(called) == [f"{key} waits", f"{key} is open"]
        assert results_of(called) == [f"held {key}"]


def test_a_silent_stream_of_the_stateless_era_gets_comments(client: HttpClient, gates: Gates) -> None:
    """R63: of a call and of a subscription."""
    key = new_key()
    call, call_headers = client.stateless_request("tools/call", call_of("hold", key=key, aloud=True), log_level="info")
    listen, listen_headers = client.stateless_request(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}
    )
    with (
        client.stream("POST", listen, listen_headers) as subscription,
        client.stream("POST", call, call_headers) as called,
    ):
        assert subscription.next_message()["method"] == "notifications/subscriptions/acknowledged"
        called.next_message()
        for stream in (called, subscription):
            for _ in range(3):
                assert stream.next_comment()
        gates.open(key)
        called.rest()
        assert results_of(called) == [f"held {key}"]


# The stateless era


def test_a_stateless_stream_has_no_ids_and_ends_with_the_answer(client: HttpClient) -> None:
    """R60, R62: event ids would wrongly suggest that it can be resumed."""
    reply = client.call_stateless("tools/call", call_of("talk", count=2), log_level="info")
    assert [message["params"]["data"] for message in reply.notifications()] == ["message 0", "message 1"]
    assert text_of(reply.result) == "talked"
    assert [event.id for event in reply.events] == [None] * 3
    assert reply.messages[-1] == reply.message


def test_a_stateless_stream_carries_no_requests(client: HttpClient) -> None:
    """R62: questions are part of a result."""
    reply = client.call_stateless(
        "tools/call", call_of("say_change_and_ask"), capabilities=ELICITATION, log_level="info"
    )
    assert [message["method"] for message in reply.notifications()] == ["notifications/message"]
    assert len(reply.messages) == 2
    assert reply.result["resultType"] == "input_required"
    assert reply.result["inputRequests"]["name"]["method"] == "elicitation/create"


def test_a_stateless_stream_carries_the_notifications_of_its_own_request_alone(
    client: HttpClient, gates: Gates
) -> None:
    """R62: with two calls with the same id and a subscription at the same time."""
    keys = (new_key(), new_key())
    streams: list[EventStream] = []
    requests = [
        client.stateless_request("tools/call", call_of("hold", key=key, aloud=True), log_level="info") for key in keys
    ]
    listen, listen_headers = client.stateless_request(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}
    )
    requests[1][0]["id"] = requests[0][0]["id"]
    with (
        client.stream("POST", listen, listen_headers) as subscription,
        client.stream("POST", *requests[0]) as one,
        client.stream("POST", *requests[1]) as two,
    ):
        subscription.next_message()
        for key in keys:
            gates.await_state(key, "waiting")
        client.call_stateless("tools/call", call_of("change_tools"))
        assert subscription.next_message()["method"] == "notifications/tools/list_changed"
        for key in keys:
            gates.open(key)
        streams += [one, two]
        for key, stream in zip(keys, streams, strict=True):
            assert data_of(stream) == [f"{key} waits", f"{key} is open"]
            assert results_of(stream) == [f"held {key}"]
            assert len(stream.messages()) == 3
    assert len(subscription.messages()) == 2


def test_a_stateless_stream_cannot_be_resumed(client: HttpClient) -> None:
    """R51, R60: GET is not allowed with any `Last-Event-ID`."""
    headers = {"MCP-Protocol-Version": STATELESS, "Last-Event-ID": "a-1", "Accept": EVENT_STREAM}
    assert client.send("GET", None, headers).status == 405
