"""Streamable HTTP headers: the protocol version, and the headers that repeat the body.

Sources: 2026-07-28 transports/streamable-http, Request Metadata and Server Validation; earlier revisions, Protocol
Version Header. Duplicated headers are written byte by byte.
"""

import pytest

from tests.support.envelopes import HANDSHAKE_REVISIONS, STATELESS, header_value
from tests.support.http_client import EVENT_STREAM, HttpClient, Reply
from tests.support.processes import HttpServer
from tests.support.streamable_http import METHODS, raw_answer, refused, sealed

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
WORLD = "memo://世界"

NAMED = ("tools/call", "resources/read", "prompts/get")


def spoilt(client: HttpClient, method: str, **changes: str) -> Reply:
    """Send a valid request with changed headers; underscores become hyphens, an empty value removes the header."""
    return client.call_stateless(
        method, METHODS[method], headers={name.replace("_", "-"): value for name, value in changes.items()}
    )


# Protocol version


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
@pytest.mark.parametrize("version", ["v999.0.0", "1.0", "2025-11-25, 2025-11-25", "null"])
def test_an_unknown_version_header_in_a_session_is_answered_with_400(
    client: HttpClient, revision: str, version: str
) -> None:
    """R55."""
    session = client.handshake(revision)
    session.headers["MCP-Protocol-Version"] = version
    assert session.call("tools/list").status == 400
    assert session.notify("notifications/x").status == 400
    assert session.delete().status == 400


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_version_header_other_than_the_negotiated_one_is_answered_with_400(client: HttpClient, revision: str) -> None:
    """R55: this server treats it as an invalid header, on POST, GET and DELETE."""
    session = client.handshake(revision)
    other = next(version for version in HANDSHAKE_REVISIONS if version != revision)
    headers = {**session.headers, "MCP-Protocol-Version": other}
    assert client.post(session.request("tools/list"), headers).status == 400
    assert client.post({"jsonrpc": "2.0", "method": "notifications/x"}, headers).status == 400
    assert client.send("GET", None, {**headers, "Accept": EVENT_STREAM}).status == 400
    assert client.send("DELETE", None, headers).status == 400
    assert session.call("ping").status == 200


def test_two_version_headers_that_differ_are_answered_with_400(server: HttpServer, client: HttpClient) -> None:
    """R55: two header lines form one list (RFC 9110, 5.3), which is not a version."""
    session = client.handshake()
    headers = [*session.headers.items(), ("MCP-Protocol-Version", "v999.0.0")]
    assert raw_answer(server, session.request("tools/list"), *headers).status == 400


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_session_without_a_version_header_is_served_in_its_own_revision(client: HttpClient, revision: str) -> None:
    """R55: the session determines the version."""
    session = client.handshake(revision)
    session.headers.pop("MCP-Protocol-Version", None)
    assert session.call("ping").result == {}
    assert session.delete().status == 204


@pytest.mark.parametrize("method", METHODS)
def test_a_stateless_request_without_a_version_header_is_refused(client: HttpClient, method: str) -> None:
    """R56: its body names 2026-07-28, so the server must not assume an older revision."""
    refused(spoilt(client, method, MCP_Protocol_Version=""), HEADER_MISMATCH)


@pytest.mark.parametrize("version", ["2025-11-25", "2025-03-26", "v999.0.0", "2026-07-28x"])
def test_a_version_header_that_differs_from_the_body_is_refused(client: HttpClient, version: str) -> None:
    """R56, R64."""
    refused(spoilt(client, "tools/list", MCP_Protocol_Version=version), HEADER_MISMATCH)


def test_a_version_header_that_stands_twice_is_refused(server: HttpServer, client: HttpClient) -> None:
    """R56, R57."""
    message, headers = client.stateless_request("tools/list")
    reply = raw_answer(server, message, *headers.items(), ("MCP-Protocol-Version", STATELESS))
    assert reply.status == 400
    assert b"-32020" in reply.body


@pytest.mark.parametrize("method", [*METHODS, "unknown/method"])
@pytest.mark.parametrize("version", ["v999.0.0", "2024-01-01"])
def test_an_unknown_version_is_refused_on_every_method_with_what_is_supported(
    client: HttpClient, method: str, version: str
) -> None:
    """R25, R64."""
    message, headers = client.stateless_request(method, METHODS.get(method, {}), revision=version)
    reply = client.post(message, headers)
    refused(reply, UNSUPPORTED_VERSION)
    assert reply.error["data"]["requested"] == version
    assert STATELESS in reply.error["data"]["supported"]
    assert reply.message["id"] == message["id"]


# Mcp-Method and Mcp-Name


@pytest.mark.parametrize("method", METHODS)
def test_mcp_method_is_checked_on_every_method(client: HttpClient, method: str) -> None:
    """R57: missing, different, in another case, or encoded (only names and parameters may be encoded)."""
    other = "prompts/list" if method != "prompts/list" else "tools/list"
    for value in ("", other, method.upper(), f"{method}/", sealed(method)):
        refused(spoilt(client, method, Mcp_Method=value), HEADER_MISMATCH)


@pytest.mark.parametrize("method", NAMED)
def test_mcp_name_is_checked_where_a_method_has_a_name(client: HttpClient, method: str) -> None:
    """R57: missing, different, in another case, partial, or badly encoded."""
    name = str(METHODS[method].get("name") or METHODS[method]["uri"])
    bad = ["", "wrong", name.upper().encode("ascii", "ignore").decode(), name[:2]]
    bad += ["=?base64?####?=", "=?base64?YQ?=", sealed(b"\xff\xfe"), sealed("wrong"), f"=?BASE64?{sealed(name)[9:]}"]
    for value in bad:
        refused(spoilt(client, method, Mcp_Name=value), HEADER_MISMATCH)


@pytest.mark.parametrize("method", NAMED)
@pytest.mark.parametrize("header", ["Mcp-Method", "Mcp-Name"])
def test_an_empty_or_a_second_routing_header_is_refused(
    server: HttpServer, client: HttpClient, method: str, header: str
) -> None:
    """R57: a second header is refused even with the same value."""
    message, headers = client.stateless_request(method, METHODS[method])
    empty = raw_answer(server, message, *{**headers, header: ""}.items())
    twice = raw_answer(server, message, *headers.items(), (header, headers[header]))
    for reply in (empty, twice):
        assert (reply.status, b"-32020" in reply.body) == (400, True), reply


def test_an_encoded_name_is_decoded_before_it_is_compared(client: HttpClient) -> None:
    """R57."""
    assert spoilt(client, "prompts/get", Mcp_Name=sealed("grüße")).status == 200
    assert spoilt(client, "tools/call", Mcp_Name=sealed("talk")).status == 200
    reply = client.call_stateless("resources/read", {"uri": WORLD}, headers={"Mcp-Name": sealed(WORLD)})
    assert reply.status == 200, reply


def test_header_names_are_read_in_any_case_and_blanks_around_values_are_not(
    server: HttpServer, client: HttpClient
) -> None:
    """R57."""
    message, headers = client.stateless_request("tools/call", METHODS["tools/call"])
    for spelled in (str.upper, str.lower):
        lines = [(spelled(name), f"  {value}\t") for name, value in headers.items()]
        assert raw_answer(server, message, *lines).status == 200


@pytest.mark.parametrize("value", ["t\x01alk", "tal\x7fk", "talk\xe4"])
def test_characters_that_a_header_must_not_have_are_refused(server: HttpServer, client: HttpClient, value: str) -> None:
    """R57, R58: by the HTTP server or by the application."""
    message, headers = client.stateless_request("tools/call", METHODS["tools/call"])
    assert raw_answer(server, message, *{**headers, "Mcp-Name": value}.items()).status == 400


def test_header_values_as_clients_encode_them_are_accepted(client: HttpClient) -> None:
    """R57, R58: names and values with and without encoding."""
    for name in ("one", "a b", "ünï", "=?base64?x?="):
        uri = f"memo://{name}"
        reply = client.call_stateless("resources/read", {"uri": uri}, headers={"Mcp-Name": header_value(uri)})
        assert reply.status == 200
