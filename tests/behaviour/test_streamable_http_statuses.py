"""Streamable HTTP statuses of the stateless era: removed features, and errors with a status of their own.

Sources: 2026-07-28 transports/streamable-http, Sending Messages, Earlier Streamable HTTP Revisions; basic, Error Codes.
"""

import pytest

from tests.support.envelopes import HANDSHAKE_REVISIONS, META_PREFIX, STATELESS, JsonObject, request
from tests.support.http_client import EVENT_STREAM, HttpClient
from tests.support.streamable_http import METHODS, call_of, refused, text_of

MISSING_CAPABILITY = -32021
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_get_and_delete_are_not_allowed_in_the_stateless_era(client: HttpClient, verb: str) -> None:
    """R60: also with a session header."""
    session = client.handshake()
    for extra in ({}, session.headers, {"Mcp-Session-Id": "gone"}, {"Last-Event-ID": "a-1"}):
        headers = {**extra, "MCP-Protocol-Version": STATELESS, "Accept": EVENT_STREAM}
        reply = client.send(verb, None, headers)
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert session.call("ping").status == 200


def test_session_and_event_ids_are_ignored_in_the_stateless_era(client: HttpClient) -> None:
    """R60: the server neither looks them up nor issues any."""
    session = client.handshake()
    for identifier in ("gone", session.headers["Mcp-Session-Id"]):
        headers = {"Mcp-Session-Id": identifier, "Last-Event-ID": "a-1"}
        reply = client.call_stateless("tools/call", call_of("talk", count=2), log_level="info", headers=headers)
        assert reply.status == 200
        assert "mcp-session-id" not in reply.headers
        assert [event.id for event in reply.events] == [None, None, None]
        assert all(event.data for event in reply.events)


@pytest.mark.parametrize(
    "method",
    [
        "unknown/method",
        "vendor.example/thing",
        "tools/unknown",
        "tools",
        "tasks/get",
        "tasks/list",
        "skills/list",
        "initialize",
        "ping",
        "shutdown",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "sampling/createMessage",
        "TOOLS/LIST",
    ],
)
def test_an_unknown_method_is_answered_with_404(client: HttpClient, method: str) -> None:
    """R61: also removed methods and those of undeclared extensions."""
    message, headers = client.stateless_request(method, {"taskId": "1", "uri": "memo://one"})
    reply = client.post(message, headers)
    refused(reply, METHOD_NOT_FOUND, 404)
    assert reply.message["id"] == message["id"]


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_an_unknown_method_in_a_session_keeps_status_200(client: HttpClient, revision: str) -> None:
    """R61: before 2026-07-28, 404 would tell the client that its session is gone."""
    reply = client.handshake(revision).call("unknown/method")
    refused(reply, METHOD_NOT_FOUND, 200)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "spoil",
    [("protocolVersion", None), ("clientCapabilities", None), ("protocolVersion", 7), ("clientCapabilities", "all")],
)
def test_missing_or_wrong_metadata_is_answered_with_400(
    client: HttpClient, method: str, spoil: tuple[str, object]
) -> None:
    """R27, R64."""
    message, headers = client.stateless_request(method, METHODS[method])
    name, value = spoil
    meta = message["params"]["_meta"]
    del meta[META_PREFIX + name]
    if value is not None:
        meta[META_PREFIX + name] = value
    refused(client.post(message, headers), INVALID_PARAMS)


def test_a_request_without_any_metadata_is_answered_with_400(client: HttpClient) -> None:
    """R64: the error is not a header mismatch."""
    without: tuple[JsonObject | None, ...] = (None, {}, {"_meta": {}})
    for params in without:
        headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/list"}
        refused(client.post(request(1, "tools/list", params), headers), INVALID_PARAMS)


def test_a_missing_capability_is_answered_with_400(client: HttpClient) -> None:
    """R64."""
    reply = client.call_stateless("tools/call", call_of("need_sampling"))
    refused(reply, MISSING_CAPABILITY)
    assert "sampling" in reply.error["data"]["requiredCapabilities"]
    assert client.call_stateless("tools/call", call_of("need_sampling"), capabilities={"sampling": {}}).status == 200


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "no_such_tool"}),
        ("tools/call", {"name": "talk", "arguments": "none"}),
        ("prompts/get", {"name": "no such prompt"}),
        ("resources/read", {"uri": "memo:none"}),
        ("tools/list", {"cursor": "no cursor of ours"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "no such prompt"}, "argument": {}}),
    ],
)
def test_errors_of_the_request_itself_keep_status_200(client: HttpClient, method: str, params: JsonObject) -> None:
    """R64."""
    refused(client.call_stateless(method, params), INVALID_PARAMS, 200)


def test_a_tool_that_refuses_its_arguments_answers_with_status_200(client: HttpClient) -> None:
    """R64: the error is meant for the model."""
    reply = client.call_stateless("tools/call", call_of("talk", count="many"))
    assert (reply.status, reply.result["isError"]) == (200, True)
    assert "count" in text_of(reply.result)
