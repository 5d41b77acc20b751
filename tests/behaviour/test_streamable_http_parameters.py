"""Streamable HTTP parameter headers: tool arguments that clients mirror into headers.

Source: 2026-07-28 transports/streamable-http, Custom Headers from Tool Parameters; server/tools, x-mcp-header.
"""

from typing import Any

import pytest

from tests.support.envelopes import JsonObject
from tests.support.http_client import HttpClient, Reply
from tests.support.processes import HttpServer, StartError, http_server
from tests.support.streamable_http import call_of, raw_answer, refused, sealed
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins import tool

HEADER_MISMATCH = -32020


def route(client: HttpClient, arguments: JsonObject, **parameters: str) -> Reply:
    headers = {f"Mcp-Param-{name.replace('_', '-')}": value for name, value in parameters.items()}
    return client.call_stateless("tools/call", {"name": "route", "arguments": arguments}, headers=headers)


def test_every_mirrored_parameter_is_accepted_when_header_and_body_agree(client: HttpClient) -> None:
    """R58: a string, an integer, a boolean and a nested property."""
    arguments = {"region": "eu", "count": 42, "dry_run": True, "target": {"place": {"zone": "b"}}, "note": "free"}
    reply = route(client, arguments, Region="eu", Count="42", Dry_Run="true", Zone="b")
    assert reply.result["structuredContent"] == arguments


@pytest.mark.parametrize(
    ("argument", "header", "value"),
    [
        ({"region": "us-west1"}, "Region", "us-west1"),
        ({"region": "us-west1"}, "Region", sealed("us-west1")),
        ({"region": "Hello, 世界"}, "Region", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        ({"region": " padded "}, "Region", "=?base64?IHBhZGRlZCA=?="),
        ({"region": "line1\nline2"}, "Region", "=?base64?bGluZTEKbGluZTI=?="),
        ({"region": "=?base64?literal?="}, "Region", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ({"region": "=?base64?SGVsbG8="}, "Region", "=?base64?SGVsbG8="),
        ({"region": "SGVsbG8="}, "Region", "SGVsbG8="),
        ({"region": ""}, "Region", "=?base64??="),
        ({"count": 42}, "Count", "42.0"),
        ({"count": 42.0}, "Count", "42"),
        ({"count": -7}, "Count", "-7"),
        ({"count": 0}, "Count", "0"),
        ({"count": 9007199254740991}, "Count", "9007199254740991"),
        ({"dry_run": False}, "Dry_Run", "false"),
        ({"target": {"place": {"zone": "b"}}}, "Zone", "b"),
    ],
)
def test_a_mirrored_parameter_is_accepted_in_each_of_its_forms(
    client: HttpClient, argument: JsonObject, header: str, value: str
) -> None:
    """R58: the examples of the specification; numbers are compared numerically."""
    assert route(client, argument, **{header: value}).result["structuredContent"] == argument


def test_an_empty_string_is_mirrored_by_an_empty_header(server: HttpServer, client: HttpClient) -> None:
    """R58."""
    message, headers = client.stateless_request("tools/call", call_of("route", region=""))
    assert raw_answer(server, message, *headers.items(), ("Mcp-Param-Region", "")).status == 200


@pytest.mark.parametrize(
    ("argument", "header", "value"),
    [
        ({"region": "eu"}, "Region", "us"),
        ({"region": "eu"}, "Region", "EU"),
        ({"region": "eu"}, "Region", sealed("us")),
        ({"region": "Hello"}, "Region", "=?base64?SGVsbG8?="),
        ({"region": "Hello"}, "Region", "=?base64?SGVsbG8==?="),
        ({"region": "Hello"}, "Region", "=?base64?SGVs!!!bG8=?="),
        ({"region": "Hello"}, "Region", "=?base64?SGVs bG8=?="),
        ({"region": "Hello"}, "Region", "=?Base64?SGVsbG8=?="),
        ({"region": "Hello"}, "Region", "=?base64?SGVsbG8="),
        ({"region": "\ufffd"}, "Region", sealed(b"\xff")),
        ({"region": "?>?"}, "Region", "=?base64?Pz4_?="),
        ({"count": 42}, "Count", "43"),
        ({"count": 42}, "Count", "4_2"),
        ({"count": 42}, "Count", "0x2a"),
        ({"count": 42}, "Count", "forty-two"),
        ({"count": 9007199254740993}, "Count", "9007199254740992"),
        ({"count": 1}, "Count", "true"),
        ({"dry_run": True}, "Dry_Run", "True"),
        ({"dry_run": True}, "Dry_Run", "1"),
        ({"dry_run": False}, "Dry_Run", "true"),
        ({"target": {"place": {"zone": "b"}}}, "Zone", "c"),
        ({"region": "eu"}, "Zone", "b"),
        ({}, "Region", "eu"),
        ({"region": None}, "Region", "null"),
        ({"region": None}, "Region", "eu"),
        ({"target": None}, "Zone", "b"),
        ({"target": {"place": "b"}}, "Zone", "b"),
    ],
)
def test_a_mirrored_parameter_that_does_not_say_what_the_body_says_is_refused(
    client: HttpClient, argument: JsonObject, header: str, value: str
) -> None:
    """R58, R64."""
    refused(route(client, argument, **{header: value}), HEADER_MISMATCH)


@pytest.mark.parametrize(
    "argument", [{"region": "eu"}, {"count": 0}, {"dry_run": False}, {"target": {"place": {"zone": ""}}}]
)
def test_a_value_without_its_header_is_refused(client: HttpClient, argument: JsonObject) -> None:
    """R58."""
    refused(route(client, argument), HEADER_MISMATCH)


@pytest.mark.parametrize("argument", [{}, {"note": "x"}, {"target": {}}, {"target": {"place": {}}}])
def test_a_value_that_is_absent_needs_no_header(client: HttpClient, argument: JsonObject) -> None:
    """R58."""
    assert route(client, argument).status == 200
    assert route(client, argument, Unknown="of no tool").status == 200


@pytest.mark.parametrize("argument", [{"region": None}, {"target": {"place": {"zone": None}}}])
def test_a_null_value_needs_no_header(client: HttpClient, argument: JsonObject) -> None:
    """R58: whether the schema allows null is decided later, and reported by an `isError` result."""
    assert route(client, argument).status == 200


def test_a_mirrored_parameter_that_stands_twice_is_refused(server: HttpServer, client: HttpClient) -> None:
    """R57, R58."""
    message, headers = client.stateless_request("tools/call", call_of("route", region="eu"))
    twice = [("Mcp-Param-Region", "eu"), ("mcp-param-region", "eu")]
    reply = raw_answer(server, message, *headers.items(), *twice)
    assert (reply.status, b"-32020" in reply.body) == (400, True), reply


# Our own annotations


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "x-mcp-header": ""}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "Two Words"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "A\r\nB"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "Ä"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": 7}}},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "object", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "array", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": ["string", "null"], "x-mcp-header": "A"}}},
        {"properties": {"a": {"x-mcp-header": "A"}}},
        {
            "properties": {
                "a": {"type": "string", "x-mcp-header": "Region"},
                "b": {"type": "string", "x-mcp-header": "REGION"},
            }
        },
        {
            "properties": {
                "a": {"type": "string", "x-mcp-header": "Region"},
                "b": {"type": "object", "properties": {"c": {"type": "string", "x-mcp-header": "region"}}},
            }
        },
        {"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}},
        {
            "properties": {
                "a": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"b": {"type": "string", "x-mcp-header": "A"}}},
                }
            }
        },
        {"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]},
        {"if": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}},
        {"not": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}},
        {"additionalProperties": {"type": "string", "x-mcp-header": "A"}},
        {"patternProperties": {"^a": {"type": "string", "x-mcp-header": "A"}}},
        {
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"type": "string", "x-mcp-header": "A"}},
        },
    ],
)
def test_an_annotation_that_clients_would_reject_fails_at_registration(schema: dict[str, Any]) -> None:
    """R59."""
    with pytest.raises(InvalidDefinition, match="x-mcp-header"):

        @tool(name="bad", input_schema={"type": "object", **schema})
        async def bad(arguments: dict[str, Any]) -> str:
            """Never be registered."""
            return ""


def test_a_server_with_such_a_tool_does_not_start_and_says_why(tmp_path: Any) -> None:
    """R59."""
    plugin = (
        "from tfo_mcp.plugins import tool\n"
        "@tool(input_schema={'type': 'object', 'properties': {'a': {'type': 'number', 'x-mcp-header': 'A'}}})\n"
        "async def bad(arguments: dict) -> str:\n    return ''\n"
    )
    (tmp_path / "bad_annotation.py").write_text(plugin)
    configuration = tmp_path / "tfo-mcp.yaml"
    configuration.write_text("mcp:\n  plugins: [bad_annotation]\n")
    with pytest.raises(StartError, match="x-mcp-header"), http_server(configuration):
        pass
