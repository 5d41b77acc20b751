"""Streamable HTTP messages: notifications, responses and media types.

Sources: transports, Sending Messages; RFC 9110, 12.5.1 for Accept. A client's own headers are written byte by byte.
"""

import gzip
import json

import pytest

from tests.support.envelopes import (
    HANDSHAKE_REVISIONS,
    STATELESS,
    JsonObject,
    notification,
    response,
)
from tests.support.http_client import EVENT_STREAM, JSON, HttpClient
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import raw_connection
from tests.support.streamable_http import (
    ACCEPT,
    ELICITATION,
    INITIALIZE,
    answer,
    call_of,
    raw_post,
    raw_request,
    text_of,
)

INVALID_REQUEST = -32600


# Notifications and responses


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
@pytest.mark.parametrize(
    "message",
    [
        notification("notifications/initialized"),
        notification("notifications/cancelled", {"requestId": "none"}),
        notification("notifications/cancelled"),
        notification("notifications/roots/list_changed"),
        notification("notifications/unknown", {"a": 1}),
        response("nobody asked", {"roots": []}),
        {"jsonrpc": "2.0", "id": "nobody asked", "error": {"code": -1, "message": "no"}},
    ],
    ids=lambda message: str(message.get("method", "response")),
)
def test_an_accepted_notification_or_response_is_answered_with_202_and_nothing_else(
    client: HttpClient, revision: str, message: JsonObject
) -> None:
    """R44, R45."""
    reply = client.handshake(revision).post(message)
    assert (reply.status, reply.body, reply.headers.get("content-type")) == (202, b"", None)


@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/unknown"])
def test_a_notification_of_the_stateless_era_is_answered_with_202_and_nothing_else(
    client: HttpClient, method: str
) -> None:
    """R44."""
    headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
    reply = client.post(notification(method, {"requestId": 1}), headers)
    assert (reply.status, reply.body) == (202, b"")


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("message", [notification("notifications/initialized"), response("1", {})])
def test_a_refused_notification_or_response_is_answered_with_an_error_status(
    client: HttpClient, revision: str, message: JsonObject
) -> None:
    """R44, R53: without a session, with an ended session, or with an invalid version."""
    session = client.handshake(revision)
    assert client.post(message).status == 400
    assert client.post(message, {"Mcp-Session-Id": "gone"}).status == 404
    assert client.post(message, {**session.headers, "MCP-Protocol-Version": "v999.0.0"}).status == 400


def test_a_response_is_refused_in_the_stateless_era(client: HttpClient) -> None:
    """R45: even with the header of an open session."""
    session = client.handshake(capabilities=ELICITATION)
    for extra in ({}, {"Mcp-Session-Id": session.headers["Mcp-Session-Id"]}):
        reply = client.post(response("1", {"action": "accept"}), {**extra, "MCP-Protocol-Version": STATELESS})
        assert (reply.status, reply.error["code"]) == (400, INVALID_REQUEST)


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25"])
def test_the_answer_to_a_question_is_posted_and_answered_with_202(client: HttpClient, revision: str) -> None:
    """R45."""
    session = client.handshake(revision, ELICITATION)
    call = session.request("tools/call", call_of("ask_name"))
    with session.stream(call) as stream:
        question = stream.next_message()
        assert question["method"] == "elicitation/create"
        reply = session.post(response(question["id"], {"action": "accept", "content": {"name": "Ada"}}))
        assert (reply.status, reply.body) == (202, b"")
        assert text_of(stream.reply(call["id"])["result"]) == "Hello, Ada!"


# Media types


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON),
        ("*/*", JSON),
        (ACCEPT, JSON),
        (f"{EVENT_STREAM}, {JSON}", JSON),
        (JSON, JSON),
        ("application/*", JSON),
        ("APPLICATION/JSON", JSON),
        (f"{JSON};q=0.1, {EVENT_STREAM};q=0.9", JSON),
        (f"text/html, {JSON} ; q=0.5", JSON),
        (EVENT_STREAM, EVENT_STREAM),
        ("text/*", EVENT_STREAM),
        (f"{JSON};q=0, {EVENT_STREAM}", EVENT_STREAM),
        (f"{JSON};q=0, */*", EVENT_STREAM),
        ("", JSON),
        (" ", JSON),
        ("*", JSON),
        ("text/html, image/gif, *; q=.2", JSON),
        (f"{JSON}\t;\tQ=1.,,{EVENT_STREAM}", JSON),
        (f'{JSON};profile="a, b;q=0", text/html', JSON),
        (f"{JSON};q=0.5, {JSON};version=2;q=0", JSON),
        (f"{JSON}; charset=utf-8, {EVENT_STREAM}; charset=utf-8", JSON),
    ],
)
@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_request_is_answered_in_a_type_that_its_client_accepts(
    server: HttpServer, client: HttpClient, era: str, accept: str | None, kind: str
) -> None:
    """R46."""
    message, headers = (INITIALIZE, {}) if era == "handshake" else client.stateless_request("tools/list")
    lines = [("Content-Type", JSON), *headers.items(), *([] if accept is None else [("Accept", accept)])]
    reply = answer(server, raw_request("POST", "/mcp", f"{LOOPBACK}:{server.port}", lines, message))
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, kind)
    assert b'"result"' in reply.body


def test_the_types_may_be_in_several_accept_headers(server: HttpServer) -> None:
    """R46; RFC 9110, 5.3: several lines mean the same as one list."""
    for first, second in ((JSON, EVENT_STREAM), (EVENT_STREAM, JSON), ("text/html", JSON)):
        reply = answer(server, raw_post(server.port, INITIALIZE, ("Accept", first), ("Accept", second)))
        assert (reply.status, reply.headers["content-type"]) == (200, JSON)


@pytest.mark.parametrize("accept", ["text/html", "text/html, image/*", f"{JSON};q=0", "*/*;q=0", "nonsense", ","])
def test_a_client_that_accepts_neither_type_is_answered_with_406(server: HttpServer, accept: str) -> None:
    """R46."""
    assert answer(server, raw_post(server.port, INITIALIZE, ("Accept", accept))).status == 406


@pytest.mark.parametrize("accept", [JSON, f"{EVENT_STREAM};q=0, */*"])
def test_a_client_that_accepts_no_stream_gets_the_result_without_notifications(client: HttpClient, accept: str) -> None:
    """R46."""
    for reply in (
        client.call_stateless("tools/call", call_of("talk", count=2), log_level="info", headers={"Accept": accept}),
        client.post(
            (session := client.handshake()).request("tools/call", call_of("talk", count=2)),
            {**session.headers, "Accept": accept},
        ),
    ):
        assert (reply.status, reply.streamed) == (200, False)
        assert text_of(reply.result) == "talked"


def test_a_client_that_accepts_no_stream_cannot_be_asked_and_is_told_at_once(client: HttpClient) -> None:
    """R46: the call neither hangs nor appears to succeed."""
    session = client.handshake(capabilities=ELICITATION)
    reply = client.post(session.request("tools/call", call_of("ask_name")), {**session.headers, "Accept": JSON})
    assert reply.status == 200
    assert "error" in reply.message or reply.result["isError"]


def test_a_client_that_accepts_no_stream_cannot_listen(server: HttpServer, client: HttpClient) -> None:
    """R46: a subscription consists of a stream, so accepting it without one would be useless."""
    message, headers = client.stateless_request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    with raw_connection(server.port) as connection:
        connection.send(raw_post(server.port, message, *headers.items(), ("Accept", JSON)))
        assert connection.response(3.0).status == 406


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        "Application/JSON",
        f"{JSON};charset=utf-8",
        f'{JSON}; charset="UTF-8"',
        f"{JSON}; charset=utf8",
        f"{JSON};CHARSET=UTF8",
        f"{JSON} ; charset = 'Utf-8' ",
        f"{JSON};charset=utf_8",
        f"{JSON}; charset=x-unicode20utf8",
        *(f"{JSON}; charset={name}" for name in ("utf-8-sig", "U8", "cp65001", "utf8mb4", "US-ASCII", "ascii")),
        f"{JSON};",
        f"{JSON}; charset=",
        f"{JSON}; version=1; charset=UTF-8; odata=verbose",
        f'{JSON}; profile="a;charset=latin1"',
    ],
)
def test_json_in_utf_8_is_accepted_however_it_is_called(server: HttpServer, content_type: str) -> None:
    """R46."""
    assert answer(server, raw_post(server.port, INITIALIZE, ("Content-Type", content_type))).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/json-seq",
        "application/jsonx",
        f"{JSON}; charset=iso-8859-1",
        f"{JSON}; charset=utf-16",
        f"{JSON}; charset=utf-7",
        f"{JSON}; charset=utf-8; charset=latin1",
        f"{JSON}, {JSON}",
        f"text/plain; x={JSON}",
        f'"{JSON}"',
        "*/*",
        "",
        "json",
    ],
)
def test_any_other_content_type_is_answered_with_415(server: HttpServer, content_type: str) -> None:
    """R46: above all `text/plain`, which a web page may send without a CORS preflight."""
    assert answer(server, raw_post(server.port, INITIALIZE, ("Content-Type", content_type))).status == 415


def test_a_missing_content_type_is_answered_with_415(server: HttpServer) -> None:
    """R46."""
    raw = raw_request("POST", "/mcp", f"{LOOPBACK}:{server.port}", [("Accept", ACCEPT)], INITIALIZE)
    assert answer(server, raw).status == 415


@pytest.mark.parametrize(
    ("coding", "status"),
    [("gzip", 415), ("br", 415), ("deflate", 415), ("identity", 200), ("Identity", 200), ("", 200)],
)
def test_an_encoded_body_is_answered_with_415(server: HttpServer, coding: str, status: int) -> None:
    """R46; RFC 9110, 8.4: the response names the accepted codings."""
    body = json.dumps(INITIALIZE).encode()
    raw = raw_post(server.port, gzip.compress(body) if status == 415 else body, ("Content-Encoding", coding))
    reply = answer(server, raw)
    assert reply.status == status
    if status == 415:
        assert reply.headers["accept-encoding"] == "identity"
