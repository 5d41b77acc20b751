"""Streamable HTTP resumption: broken streams, and clients that disconnect.

Sources: transports, Resumability and Redelivery (2025-03-26 to 2025-11-25); 2026-07-28 transports, Cancellation.
Tests close real connections, and a gate in the server reports what became of the call.
"""

import json

import pytest

from tests.support.envelopes import JsonObject
from tests.support.http_client import EVENT_STREAM, EventStream, HttpClient, Session
from tests.support.processes import HttpServer
from tests.support.raw_http import RawResponse, raw_connection
from tests.support.sse import lines_of, parse_events
from tests.support.streamable_http import (
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
    raw_post,
    results_of,
    text_of,
)

KEEP_ALIVE = 0.15  # seconds
SETTINGS = {"server_keep_alive_seconds": KEEP_ALIVE}


def messages_in(reply: RawResponse) -> list[JsonObject]:
    """Return the messages of a response, whether JSON or an event stream."""
    if not reply.headers["content-type"].startswith(EVENT_STREAM):
        return [json.loads(reply.body)]
    return [json.loads(event.data) for event in parse_events(lines_of([reply.body])) if event.data]


# Resumption


@pytest.mark.parametrize("revision", RESUMABLE)
def test_a_call_whose_connection_was_killed_goes_on_and_its_stream_is_resumed(
    client: HttpClient, gates: Gates, revision: str
) -> None:
    """R51, R52."""
    session, key = client.handshake(revision), new_key()
    with session.stream(held(session, key)) as broken:
        assert broken.next_message()["params"]["data"] == f"{key} waits"
    let_time_pass(client)
    assert gates.state(key) == "waiting"
    gates.open(key)
    with session.listen(event_id(broken)) as resumed:
        assert (resumed.status, resumed.headers["content-type"]) == (200, EVENT_STREAM)
        assert data_of(resumed) == [f"{key} is open"]
        assert results_of(resumed) == [f"held {key}"]
    assert gates.state(key) == "finished"
    assert not {event.id for event in resumed.events} & {event.id for event in broken.events if event.id}


@pytest.mark.parametrize("revision", RESUMABLE)
def test_a_stream_that_has_ended_can_be_read_again_from_any_event(client: HttpClient, revision: str) -> None:
    """R51."""
    session = client.handshake(revision)
    whole = [event for event in call_tool(session, "talk", count=3).events if event.id]
    for position, event in enumerate(whole):
        with session.listen(event.id) as resumed:
            rest = [again for again in resumed.rest() if again.data]
            assert [(again.id, again.data) for again in rest] == [
                (later.id, later.data) for later in whole[position + 1 :] if later.data
            ]


@pytest.mark.parametrize("revision", PRIMED)
def test_a_call_can_be_resumed_before_it_has_said_anything(client: HttpClient, gates: Gates, revision: str) -> None:
    """R51: the empty first event makes this possible."""
    session, key = client.handshake(revision), new_key()
    with session.stream(held(session, key)) as broken:
        first = broken.next_event()
    gates.open(key)
    with session.listen(first.id) as resumed:
        assert data_of(resumed) == [f"{key} waits", f"{key} is open"]
        assert results_of(resumed) == [f"held {key}"]


@pytest.mark.parametrize("revision", RESUMABLE)
def test_a_resumed_stream_can_break_and_be_resumed_again(client: HttpClient, gates: Gates, revision: str) -> None:
    """R51: each time from the last received event."""
    session, first, second = client.handshake(revision), new_key(), new_key()
    with session.stream(held(session, first)) as broken, session.stream(held(session, second)) as other:
        broken.next_message()
        other.next_message()
    last = event_id(broken)
    for _ in range(3):
        with session.listen(last) as resumed:
            assert resumed.status == 200
    gates.open(first)
    gates.open(second)
    with session.listen(last) as resumed:
        assert data_of(resumed) == [f"{first} is open"]
        assert results_of(resumed) == [f"held {first}"]


@pytest.mark.parametrize("revision", RESUMABLE)
def test_the_stream_of_get_is_resumed_with_what_was_missed(client: HttpClient, revision: str) -> None:
    """R51."""
    session = client.handshake(revision)
    with session.listen() as broken:
        call_tool(session, "change_tools")
        broken.next_message()
    call_tool(client.handshake(), "change_tools")
    with session.listen(event_id(broken)) as resumed:
        assert resumed.next_message()["method"] == "notifications/tools/list_changed"
        call_tool(session, "change_tools")
        assert resumed.next_message()["method"] == "notifications/tools/list_changed"
        assert not {event.id for event in resumed.events if event.data} & {event.id for event in broken.events}


@pytest.mark.parametrize("revision", RESUMABLE)
def test_only_the_stream_that_the_event_belongs_to_is_replayed(client: HttpClient, gates: Gates, revision: str) -> None:
    """R51: events of other streams of the session are not replayed."""
    session, key = client.handshake(revision), new_key()
    with session.listen() as listening:
        with session.stream(held(session, key)) as broken:
            broken.next_message()
        assert data_of_reply(session, count=3) == ["message 0", "message 1", "message 2"]
        call_tool(session, "change_tools")
        listening.next_message()
        gates.open(key)
        with session.listen(event_id(broken)) as resumed:
            assert data_of(resumed) == [f"{key} is open"]
            assert [message.get("method") for message in resumed.messages()] == ["notifications/message", None]


def data_of_reply(session: Session, count: int) -> list[str]:
    reply = call_tool(session, "talk", count=count)
    return [message["params"]["data"] for message in reply.notifications("notifications/message")]


@pytest.mark.parametrize("revision", RESUMABLE)
def test_an_event_of_another_session_opens_none_of_its_streams(client: HttpClient, revision: str) -> None:
    """R51: the server answers with an error or a new stream without events of the other session."""
    victim, thief = client.handshake(revision), client.handshake(revision)
    secret = [event for event in call_tool(victim, "talk", count=3).events if event.id]
    with thief.listen(secret[0].id) as stream:
        if stream.status == 200:
            call_tool(thief, "change_tools")
            assert stream.next_message()["method"] == "notifications/tools/list_changed"
            assert not {event.id for event in stream.events} & {event.id for event in secret}
        else:
            assert 400 <= stream.status < 500
    with victim.listen(secret[0].id) as resumed:
        assert results_of_rest(resumed) == ["talked"]


def results_of_rest(stream: EventStream) -> list[str]:
    stream.rest()
    return results_of(stream)


@pytest.mark.parametrize("identifier", ["none", "none-1", "-", "-1", "a-99999999999999999999", "a-x", "a" * 5000])
def test_an_unknown_event_id_is_an_error_or_opens_a_fresh_stream(client: HttpClient, identifier: str) -> None:
    """R51."""
    session = client.handshake()
    call_tool(session, "talk", count=1)
    with session.listen(identifier) as stream:
        assert stream.status == 200 or 400 <= stream.status < 500
        if stream.status == 200:
            call_tool(session, "change_tools")
            assert stream.next_message()["method"] == "notifications/tools/list_changed"


@pytest.mark.parametrize("aloud", [True, False], ids=["after a message", "before any message"])
def test_a_stream_that_is_given_up_says_when_to_come_back_and_is_resumed(
    client: HttpClient, gates: Gates, aloud: bool
) -> None:
    """R51: 2025-11-25 allows the server to close the connection without ending the stream."""
    session, key = client.handshake("2025-11-25"), new_key()
    with session.stream(session.request("tools/call", call_of("let_go", key=key, aloud=aloud))) as polled:
        polled.rest()
        assert not polled.broken
    assert polled.events[-1].retry == 120
    assert not results_of(polled)
    gates.await_state(key, "waiting")
    gates.open(key)
    with session.listen(event_id(polled)) as resumed:
        assert data_of(resumed) == (["after"] if aloud else [])
        assert results_of(resumed) == [f"let go {key}"]


@pytest.mark.parametrize("revision", UNPRIMED)
@pytest.mark.parametrize("aloud", [True, False], ids=["after a message", "before any message"])
def test_a_stream_is_not_closed_before_the_response_in_older_revisions(
    server: HttpServer, client: HttpClient, gates: Gates, revision: str, aloud: bool
) -> None:
    """R51: "should not close the stream before the response". Without an event id, no client could resume it."""
    session, key = client.handshake(revision), new_key()
    call = session.request("tools/call", call_of("let_go", key=key, aloud=aloud))
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, call, *session.headers.items()))
        gates.await_state(key, "waiting")
        gates.open(key)
        *before, last = messages_in(connection.response())
    assert [message["params"]["data"] for message in before] == (["before", "after"] if aloud else [])
    assert text_of(last["result"]) == f"let go {key}"


# Disconnects


@pytest.mark.parametrize("revision", SESSIONS)
def test_a_dropped_connection_does_not_cancel_a_call_of_a_session(
    server: HttpServer, client: HttpClient, gates: Gates, revision: str
) -> None:
    """R52: neither before the response has begun nor in the middle of its stream."""
    session, silent, loud = client.handshake(revision), new_key(), new_key()
    with raw_connection(server.port) as connection:
        call = session.request("tools/call", call_of("hold", key=silent))
        connection.send(raw_post(server.port, call, *session.headers.items()))
        gates.await_state(silent, "waiting")
    with session.stream(held(session, loud)) as stream:
        stream.next_message()
        gates.await_state(loud, "waiting")
    let_time_pass(client)
    for key in (silent, loud):
        assert gates.state(key) == "waiting"
        gates.open(key)
        gates.await_state(key, "finished")


def test_a_dropped_connection_cancels_a_stateless_call_in_the_middle_of_its_stream(
    client: HttpClient, gates: Gates
) -> None:
    """R52."""
    key = new_key()
    message, headers = client.stateless_request("tools/call", call_of("hold", key=key, aloud=True), log_level="info")
    with client.stream("POST", message, headers) as stream:
        assert stream.next_message()["params"]["data"] == f"{key} waits"
        gates.await_state(key, "waiting")
    gates.await_state(key, "cancelled")


def test_a_dropped_connection_cancels_a_stateless_call_before_its_answer_has_begun(
    server: HttpServer, client: HttpClient, gates: Gates
) -> None:
    """R52: even shortly after the request."""
    key = new_key()
    message, headers = client.stateless_request("tools/call", call_of("hold", key=key))
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, message, *headers.items()))
        gates.await_state(key, "waiting")
    gates.await_state(key, "cancelled")


def test_both_eras_keep_their_rule_side_by_side(client: HttpClient, gates: Gates) -> None:
    """R52: in one process, at the same time and with the same request id."""
    session, kept, cancelled = client.handshake(), new_key(), new_key()
    call = held(session, kept)
    message, headers = client.stateless_request(
        "tools/call", call_of("hold", key=cancelled, aloud=True), log_level="info"
    )
    message["id"] = call["id"]
    with session.stream(call) as one, client.stream("POST", message, headers) as two:
        one.next_message()
        two.next_message()
        gates.await_state(kept, "waiting")
        gates.await_state(cancelled, "waiting")
    gates.await_state(cancelled, "cancelled")
    assert gates.state(kept) == "waiting"
    gates.open(kept)
    gates.await_state(kept, "finished")


@pytest.mark.parametrize("revision", SESSIONS)
def test_a_cancelled_call_of_a_session_stops_and_its_stream_ends_without_an_answer(
    client: HttpClient, gates: Gates, revision: str
) -> None:
    """R52, R73: clients of these revisions cancel by a notification."""
    session, key = client.handshake(revision), new_key()
    call = held(session, key)
    with session.stream(call) as stream:
        stream.next_message()
        gates.await_state(key, "waiting")
        assert session.notify("notifications/cancelled", {"requestId": call["id"]}).status == 202
        assert data_of(stream) == [f"{key} waits"]
        assert not [message for message in stream.messages() if "id" in message]
    gates.await_state(key, "cancelled")
