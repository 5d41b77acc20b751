"""Streamable HTTP sessions: creation, the required header, end, expiry, and the session's GET stream.

Source: transports, Session Management and Listening for Messages (2025-03-26 to 2025-11-25).
"""

import re
from collections.abc import Iterator

import pytest

from tests.support.deadlines import wait_until
from tests.support.envelopes import HANDSHAKE_REVISIONS, JsonObject, initialize_params, notification, request, response
from tests.support.http_client import EVENT_STREAM, JSON, HttpClient, Reply, Session, http_client
from tests.support.processes import HttpServer
from tests.support.raw_http import raw_connection
from tests.support.streamable_http import Gates, call_of, call_tool, gates_of, new_key, raw_post, text_of, tools_server

KEEP_ALIVE = 0.3  # seconds
IDLE = 1.0  # seconds


@pytest.fixture(scope="module")
def forgetful() -> Iterator[HttpServer]:
    """A server whose sessions expire quickly."""
    with tools_server(mcp_session_idle_seconds=IDLE, server_keep_alive_seconds=KEEP_ALIVE) as running:
        yield running


def messages_of(session: Session) -> list[JsonObject]:
    """Return one message of each kind that a client may POST in a session."""
    return [
        session.request("tools/list"),
        session.request("ping"),
        notification("notifications/initialized"),
        notification("notifications/cancelled", {"requestId": 1}),
        response("1", {}),
    ]


def get(session: Session, **headers: str) -> Reply:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return session.client.send("GET", None, {**session.headers, "Accept": EVENT_STREAM, **more})


def is_gone(session: Session) -> None:
    for message in messages_of(session):
        assert session.post(message).status == 404, message
    assert get(session).status == 404
    assert get(session, Last_Event_ID="a-1").status == 404
    assert session.delete().status == 404


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_initialize_gives_out_a_session_id_of_visible_characters(client: HttpClient, revision: str) -> None:
    """R54: 128 random bits are 22 characters of base64 or 32 hexadecimal digits."""
    identifiers = {client.handshake(revision).headers["Mcp-Session-Id"] for _ in range(16)}
    assert len(identifiers) == 16
    for identifier in identifiers:
        assert re.fullmatch(r"[\x21-\x7e]{22,}", identifier)
        assert len(identifier) >= 32 or not re.fullmatch(r"[0-9a-fA-F-]+", identifier)


def test_session_ids_have_nothing_in_common(client: HttpClient) -> None:
    """R54: neither a counter nor a timestamp; every position has many different characters."""
    identifiers = [client.handshake().headers["Mcp-Session-Id"] for _ in range(64)]
    assert len({len(identifier) for identifier in identifiers}) == 1
    constant = [position for position, column in enumerate(zip(*identifiers, strict=True)) if len(set(column)) < 5]
    assert len(identifiers[0]) - len(constant) >= 22


def test_a_session_id_is_given_out_by_initialize_alone(client: HttpClient) -> None:
    """R54: a refused `initialize` opens no session."""
    session = client.handshake()
    assert "mcp-session-id" not in session.call("ping").headers
    assert "mcp-session-id" not in session.notify("notifications/x").headers
    refused = client.post(request(1, "initialize", {"protocolVersion": 7}))
    assert "error" in refused.message
    assert "mcp-session-id" not in refused.headers


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_request_without_a_session_id_is_answered_with_400(client: HttpClient, revision: str) -> None:
    """R53: on POST, GET and DELETE."""
    session = client.handshake(revision)
    headers = {name: value for name, value in session.headers.items() if name != "Mcp-Session-Id"}
    for message in messages_of(session):
        assert client.post(message, headers).status == 400, message
    assert client.send("GET", None, {**headers, "Accept": EVENT_STREAM}).status == 400
    assert client.send("DELETE", None, headers).status == 400


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_an_unknown_session_id_is_answered_with_404(client: HttpClient, revision: str) -> None:
    """R53: on POST, GET and DELETE, whatever the id looks like."""
    session = client.handshake(revision)
    own = session.headers["Mcp-Session-Id"]
    for identifier in (own[:-1], f"{own}x", own.swapcase(), "x" * 4000, "../../etc/passwd", "'"):
        stranger = Session(client, session.result, {**session.headers, "Mcp-Session-Id": identifier})
        assert stranger.call("tools/list").status == 404
        assert get(stranger).status == 404
        assert stranger.delete().status == 404
    assert session.call("ping").status == 200


def test_two_session_ids_are_answered_with_400(server: HttpServer, client: HttpClient) -> None:
    """R53: the server uses neither of the two."""
    first, second = client.handshake(), client.handshake()
    lines = [*first.headers.items(), ("Mcp-Session-Id", second.headers["Mcp-Session-Id"])]
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, first.request("ping"), *lines))
        assert connection.response().status == 400


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_deleted_session_is_answered_with_404_on_everything(client: HttpClient, revision: str) -> None:
    """R53."""
    session, other = client.handshake(revision), client.handshake(revision)
    deleted = session.delete()
    assert (deleted.status, deleted.body) == (204, b"")
    is_gone(session)
    assert other.call("ping").status == 200


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_initialize_with_the_id_of_an_ended_session_opens_a_new_one(client: HttpClient, revision: str) -> None:
    """R53: clients that start again may still send the header of their last session."""
    session = client.handshake(revision)
    session.delete()
    initialize = request(1, "initialize", initialize_params(revision))
    for stale in (session.headers["Mcp-Session-Id"], "unknown", "x" * 4000, "'", ""):
        reply = client.post(initialize, {"Mcp-Session-Id": stale})
        assert (reply.status, reply.result["protocolVersion"]) == (200, revision)
        fresh = {**session.headers, "Mcp-Session-Id": reply.headers["mcp-session-id"]}
        assert fresh["Mcp-Session-Id"] != stale
        assert client.post(notification("notifications/initialized"), fresh).status == 202
        assert client.post(request(2, "tools/list"), fresh).status == 200
    is_gone(session)


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_initialize_in_a_session_that_lives_is_refused(client: HttpClient, revision: str) -> None:
    """R53: the session goes on as it was."""
    session = client.handshake(revision)
    reply = session.post(request(1, "initialize", initialize_params(revision)))
    assert (reply.status, "mcp-session-id" in reply.headers) == (400, False)
    assert session.call("ping").status == 200


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_an_empty_session_id_counts_as_none(client: HttpClient, revision: str) -> None:
    """R53."""
    session = client.handshake(revision)
    headers = {**session.headers, "Mcp-Session-Id": ""}
    assert client.post(session.request("ping"), headers).status == 400
    assert client.send("GET", None, {**headers, "Accept": EVENT_STREAM}).status == 400
    assert client.send("DELETE", None, headers).status == 400


def test_a_deleted_session_is_answered_with_404_on_a_batch(client: HttpClient) -> None:
    """R8, R53."""
    session = client.handshake("2025-03-26")
    session.delete()
    assert session.post([session.request("ping")]).status == 404
    assert session.post([notification("notifications/x")]).status == 404


def test_a_session_that_was_shut_down_is_gone(client: HttpClient) -> None:
    """R53: `shutdown` is this server's own method to end a session."""
    session = client.handshake()
    assert session.call("shutdown").result == {}
    wait_until(lambda: session.call("ping").status == 404, "the session is closed")
    is_gone(session)


def test_the_end_of_a_session_ends_its_calls_and_its_stream(client: HttpClient, gates: Gates) -> None:
    """R52, R53: its calls are cancelled, and no stream stays open."""
    session, key = client.handshake(), new_key()
    with (
        session.listen() as stream,
        session.stream(session.request("tools/call", call_of("hold", key=key, aloud=True))) as call,
    ):
        assert call.next_message()["params"]["data"] == f"{key} waits"
        gates.await_state(key, "waiting")
        assert session.delete().status == 204
        assert not [event for event in stream.rest() if event.data]
        assert not [event for event in call.rest() if event.data]
    gates.await_state(key, "cancelled")


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_get_opens_a_stream_of_the_session(client: HttpClient, revision: str) -> None:
    """R49."""
    session = client.handshake(revision)
    with session.listen() as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, EVENT_STREAM)


@pytest.mark.parametrize(("accept", "status"), [(JSON, 406), ("text/html", 406), (f"{EVENT_STREAM};q=0", 406)])
def test_get_needs_a_client_that_accepts_a_stream(client: HttpClient, accept: str, status: int) -> None:
    """R49."""
    assert get(client.handshake(), Accept=accept).status == status


@pytest.mark.parametrize("accept", [EVENT_STREAM, "text/*", "*/*", f"{JSON}, {EVENT_STREAM}"])
def test_get_takes_every_way_to_accept_a_stream(client: HttpClient, accept: str) -> None:
    """R49."""
    session = client.handshake()
    with client.stream("GET", None, {**session.headers, "Accept": accept}) as stream:
        assert stream.status == 200


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_second_stream_of_a_session_is_answered_with_409_while_the_first_is_open(
    client: HttpClient, revision: str
) -> None:
    """R49: the stream of another session still opens."""
    session = client.handshake(revision)
    with session.listen() as stream:
        assert stream.status == 200
        assert get(session).status == 409
        with client.handshake(revision).listen() as other:
            assert other.status == 200

    def opens_again() -> bool:
        with session.listen() as again:
            return again.status == 200

    wait_until(opens_again, "the stream that was left can be opened again")


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_the_stream_of_get_carries_no_answers(client: HttpClient, revision: str) -> None:
    """R49: responses go to the POST of their request."""
    session = client.handshake(revision)
    with session.listen() as stream:
        assert session.call("ping").result == {}
        assert call_tool(session, "talk", count=2).message["result"]
        assert call_tool(session, "change_tools").status == 200
        assert stream.next_message()["method"] == "notifications/tools/list_changed"
        assert len(stream.messages()) == 1


def test_an_idle_session_expires_and_is_answered_with_404_on_everything(forgetful: HttpServer) -> None:
    """R54: a session in use, or with an open stream, does not expire."""
    with http_client(forgetful.url) as client:
        idle, listening, used = client.handshake(), client.handshake(), client.handshake()
        with listening.listen() as stream:
            assert stream.next_event().data == ""

            def only_the_idle_one_is_gone() -> bool:
                assert used.call("ping").status == 200
                assert stream.next_comment()
                return forgetful.sessions() == 2

            wait_until(only_the_idle_one_is_gone, "the idle session is closed")
            is_gone(idle)
            assert listening.call("ping").status == 200


def test_a_session_does_not_expire_while_a_call_of_it_runs(forgetful: HttpServer) -> None:
    """R54: a client that waits for a response is not idle."""
    key = new_key()
    with http_client(forgetful.url) as client, gates_of(forgetful) as gates:
        calling, idle = client.handshake(), client.handshake()
        with calling.stream(calling.request("tools/call", call_of("hold", key=key, aloud=True))) as stream:
            assert stream.next_message()["method"] == "notifications/message"
            gates.await_state(key, "waiting")
            wait_until(lambda: forgetful.sessions() < 2, "the idle session is closed")
            gates.open(key)
            answers = [event.data for event in stream.rest() if event.data]
            assert gates.state(key) == "finished"
            assert any(f"held {key}" in answer for answer in answers)
        assert idle.call("ping").status == 404


def test_a_session_is_its_id_and_not_its_connection(client: HttpClient) -> None:
    """R53: the header alone identifies it; the server uses no cookies."""
    session = client.handshake()
    with http_client(client.url) as elsewhere:
        moved = Session(elsewhere, session.result, session.headers)
        assert text_of(call_tool(moved, "talk", count=0).result) == "talked"
