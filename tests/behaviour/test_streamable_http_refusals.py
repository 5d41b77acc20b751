"""Streamable HTTP errors and batches: a bad request gets one error, and the connection stays usable.

Sources: transports, Sending Messages; basic, Batching (2025-03-26).
"""

import json

import pytest

from tests.behaviour.matrix import BY_PROXY
from tests.support.envelopes import (
    HANDSHAKE_REVISIONS,
    STATELESS,
    JsonObject,
    initialize_params,
    notification,
    request,
    response,
)
from tests.support.http_client import EVENT_STREAM, JSON, HttpClient, Session
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.raw_http import raw_connection
from tests.support.streamable_http import (
    ACCEPT,
    INITIALIZE,
    answer,
    call_of,
    raw_post,
    raw_request,
    still_serves,
)

BATCHES = "2025-03-26"
PARSE_ERROR = -32700
INVALID_REQUEST = -32600


# The connection stays usable

REFUSALS: dict[str, tuple[int, bytes]] = {
    "malformed JSON": (400, raw_post(1, b'{"jsonrpc": ')),
    "empty body": (400, raw_post(1, b" ")),
    "invalid UTF-8": (400, raw_post(1, b'{"jsonrpc":"2.0","id":1,"method":"\xff"}')),
    "NaN": (400, raw_post(1, b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}')),
    "too deep": (
        400,
        raw_post(1, b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 99 + b"1" + b"}" * 100),
    ),
    "a number": (400, raw_post(1, b"7")),
    "null id": (400, raw_post(1, request(None, "ping"))),
    "wrong version of JSON-RPC": (400, raw_post(1, {"jsonrpc": "1.0", "id": 1, "method": "ping"})),
    "a batch": (400, raw_post(1, [request(1, "ping")])),
    "no session": (400, raw_post(1, request(1, "tools/list"))),
    "a response": (400, raw_post(1, response("1", {}))),
    "dead session": (404, raw_post(1, request(1, "tools/list"), ("Mcp-Session-Id", "gone"))),
    "unknown version": (400, raw_post(1, request(1, "tools/list"), ("MCP-Protocol-Version", "v9"))),
    "no metadata": (400, raw_post(1, request(1, "tools/list"), ("MCP-Protocol-Version", STATELESS))),
    "content type": (415, raw_post(1, INITIALIZE, ("Content-Type", "text/plain"))),
    "content encoding": (415, raw_post(1, INITIALIZE, ("Content-Encoding", "br"))),
    "accept": (406, raw_post(1, INITIALIZE, ("Accept", "text/html"))),
    "origin": (403, raw_post(1, INITIALIZE, ("Origin", "null"))),
    "PUT": (405, raw_request("PUT", "/mcp", LOOPBACK, [("Content-Type", JSON)], INITIALIZE)),
    "PATCH": (405, raw_request("PATCH", "/mcp", LOOPBACK, [("Content-Type", JSON)], INITIALIZE)),
    "OPTIONS": (405, raw_request("OPTIONS", "/mcp", LOOPBACK)),
    "GET without a session": (400, raw_request("GET", "/mcp", LOOPBACK, [("Accept", EVENT_STREAM)])),
    "GET of a dead session": (
        404,
        raw_request("GET", "/mcp", LOOPBACK, [("Accept", EVENT_STREAM), ("Mcp-Session-Id", "gone")]),
    ),
    "DELETE without a session": (400, raw_request("DELETE", "/mcp", LOOPBACK)),
    "another path": (404, raw_request("POST", "/message", LOOPBACK, [("Content-Type", JSON)], INITIALIZE)),
    "health by POST": (405, raw_request("POST", "/healthz", LOOPBACK, [], b"{}")),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=BY_PROXY if case == "health by POST" else ()) for case in REFUSALS]
)
def test_a_refusal_has_its_status_and_the_connection_serves_the_next_request(server: HttpServer, case: str) -> None:
    """R44, R45, R46, R47, R48: one error per bad request, and the connection stays usable."""
    status, raw = REFUSALS[case]
    with raw_connection(server.port) as connection:
        connection.send(raw)
        reply = connection.response()
        assert reply.status == status
        assert reply.headers.get("connection") != "close"
        assert still_serves(connection, server)


@pytest.mark.parametrize(
    "case", ["malformed JSON", "empty body", "invalid UTF-8", "NaN", "too deep", "a number", "null id", "a batch"]
)
def test_a_body_that_is_no_message_is_answered_with_one_json_rpc_error(server: HttpServer, case: str) -> None:
    """R4, R44, R46."""
    reply = answer(server, REFUSALS[case][1])
    message = json.loads(reply.body)
    broken = {"malformed JSON", "empty body", "invalid UTF-8", "NaN"}
    assert reply.headers["content-type"] == JSON
    assert message["error"]["code"] == (PARSE_ERROR if case in broken else INVALID_REQUEST)


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "OPTIONS", "HEAD", pytest.param("TRACE", marks=BY_PROXY)])
def test_other_verbs_are_answered_with_405_and_the_verbs_that_there_are(server: HttpServer, verb: str) -> None:
    """R48: OPTIONS too, since CORS is not configured."""
    reply = answer(server, raw_request(verb, "/mcp", LOOPBACK), verb)
    assert reply.status == 405
    assert {"POST", "GET", "DELETE"} <= {allowed.strip() for allowed in reply.headers["allow"].split(",")}
    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/mcp//", "/mcp/x", "/MCP", "/mcp%2f", "//mcp", "/sse//", "/message", "/messages/x", "/ws/x", "/healthz/x"]
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_other_paths_are_answered_with_404(server: HttpServer, verb: str, path: str) -> None:
    """R48: paths that merely resemble this endpoint or that of another transport are refused."""
    assert answer(server, raw_request(verb, path, LOOPBACK, [("Accept", ACCEPT)]), verb).status == 404


# Batches


def batch_session(client: HttpClient) -> Session:
    return client.handshake(BATCHES)


def test_a_batch_is_answered_with_one_answer_for_each_request(client: HttpClient) -> None:
    """R8: also mixed with notifications; the response is one JSON array."""
    messages = [
        request("a", "ping"),
        notification("notifications/unknown"),
        request(0, "tools/call", call_of("gate_state", key="none")),
        request("b", "unknown/method"),
    ]
    reply = batch_session(client).post(messages)
    assert (reply.status, reply.streamed) == (200, False)
    assert isinstance(json.loads(reply.body), list)
    answers = {message["id"]: message for message in reply.messages}
    assert set(answers) == {"a", 0, "b"}
    assert len(reply.messages) == 3
    assert answers["a"]["result"] == {}
    assert answers["b"]["error"]["code"] == -32601


def test_a_batch_of_one_request_is_answered_with_an_array(client: HttpClient) -> None:
    """R8; JSON-RPC 2.0, section 6."""
    reply = batch_session(client).post([request(5, "ping")])
    assert json.loads(reply.body) == [{"jsonrpc": "2.0", "id": 5, "result": {}}]


@pytest.mark.parametrize(
    "messages",
    [
        [notification("notifications/unknown"), notification("notifications/cancelled", {"requestId": 9})],
        [response("none", {}), response(7, {})],
    ],
    ids=["notifications", "responses"],
)
def test_a_batch_without_requests_is_answered_with_202(client: HttpClient, messages: list[JsonObject]) -> None:
    """R8, R44."""
    reply = batch_session(client).post(messages)
    assert (reply.status, reply.body) == (202, b"")


def test_an_empty_batch_is_one_invalid_request(client: HttpClient) -> None:
    """R8."""
    reply = batch_session(client).post([])
    assert (reply.status, reply.error["code"], isinstance(json.loads(reply.body), dict)) == (400, INVALID_REQUEST, True)


def test_members_of_a_batch_that_are_no_messages_get_an_error_each(client: HttpClient) -> None:
    """R8; JSON-RPC 2.0, section 7."""
    reply = batch_session(client).post([1, request(1, "ping"), {"foo": "boo"}])
    codes = sorted(message.get("error", {}).get("code", 0) for message in reply.messages)
    assert codes == [INVALID_REQUEST, INVALID_REQUEST, 0]


def test_initialize_is_refused_in_a_batch(client: HttpClient) -> None:
    """R9: both with and without a session."""
    messages = [request(1, "initialize", initialize_params(BATCHES)), request(2, "ping")]
    answers = {message["id"]: message for message in batch_session(client).post(messages).messages}
    assert answers[1]["error"]["code"] == INVALID_REQUEST
    assert answers[2]["result"] == {}
    reply = client.post(messages)
    assert (reply.status, "mcp-session-id" in reply.headers) == (400, False)


def test_a_batch_whose_calls_talk_is_answered_as_a_stream_with_all_answers(client: HttpClient) -> None:
    """R8: notifications come before the responses, and each request gets one response."""
    calls = [request(number, "tools/call", call_of("talk", count=1)) for number in (1, 2)]
    reply = batch_session(client).post(calls)
    messages: list[JsonObject] = []
    for event in reply.events:
        content = json.loads(event.data) if event.data else []
        messages.extend(content if isinstance(content, list) else [content])
    assert reply.streamed
    assert sorted(message["id"] for message in messages if "id" in message) == [1, 2]
    assert len([message for message in messages if message.get("method") == "notifications/message"]) == 2


@pytest.mark.parametrize("revision", [revision for revision in HANDSHAKE_REVISIONS if revision != BATCHES])
def test_an_array_is_refused_in_every_other_revision_with_sessions(client: HttpClient, revision: str) -> None:
    """R10."""
    session = client.handshake(revision)
    for messages in ([request(1, "ping")], [notification("notifications/unknown")], []):
        reply = session.post(messages)
        assert (reply.status, reply.error["code"]) == (400, INVALID_REQUEST)


def test_an_array_is_refused_in_the_stateless_era(client: HttpClient) -> None:
    """R10."""
    message, headers = client.stateless_request("tools/list")
    reply = client.post([message], headers)
    assert (reply.status, reply.error["code"]) == (400, INVALID_REQUEST)
