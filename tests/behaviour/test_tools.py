"""Tools: arguments, schemas and results."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.behaviour.conftest import PLUGINS, lend, settings
from tests.behaviour.matrix import FEW, REVISIONS, Place, before, over, since
from tests.support.conversations import Conversation
from tests.support.envelopes import STATELESS, JsonObject
from tests.support.processes import PROJECT, child, configuration_file
from tests.support.services import Services, services
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.plugins import tool as define_tool

FIRST_WITH_STRUCTURE = "2025-06-18"


def tools(conversation: Conversation) -> dict[str, JsonObject]:
    """Return the listed tools by name."""
    return {entry["name"]: entry for entry in conversation.everything("tools/list", "tools")}


@over(*before(STATELESS))
def test_an_unknown_tool_is_an_error_of_its_own_in_the_handshake_era(conversation: Conversation) -> None:
    """R77: this server's own code, since the specification gives a code in an example only."""
    error = conversation.error("tools/call", {"name": "no_such_tool", "arguments": {}})
    assert error["code"] == -32001
    assert error["data"] == {"kind": "tool_not_found", "name": "no_such_tool"}


@over(STATELESS)
def test_an_unknown_tool_is_an_invalid_parameter_in_the_stateless_era(conversation: Conversation) -> None:
    """R77."""
    error = conversation.error("tools/call", {"name": "no_such_tool"})
    assert error["code"] == -32602
    assert error["data"] == {"kind": "tool_not_found", "name": "no_such_tool"}


@over(*REVISIONS)
@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("limits", {}, "count"),
        ("limits", {"count": 11}, "10"),
        ("limits", {"count": "many"}, "count"),
        ("limits", {"count": 1.5}, "count"),
        ("limits", {"count": True}, "count"),
        ("limits", {"count": None}, "count"),
        ("limits", {"count": 1, "color": "blue"}, "color"),
        ("limits", {"count": 1, "weight": 3}, "weight"),
        ("echo", {"message": 5}, "message"),
        ("nothing", {"anything": 1}, "anything"),
    ],
    ids=json.dumps,
)
def test_arguments_that_do_not_fit_give_a_result_that_says_what_to_change(
    conversation: Conversation, name: str, arguments: JsonObject, told: str
) -> None:
    """R78, R79."""
    result = conversation.tool(name, arguments)
    assert result["isError"] is True
    assert told in result["content"][0]["text"]


@over(*REVISIONS)
def test_arguments_may_be_left_out_where_none_are_required(conversation: Conversation) -> None:
    """R78, R81."""
    for params in ({"name": "nothing"}, {"name": "nothing", "arguments": {}}):
        result = conversation.result("tools/call", params)
        assert result["isError"] is False
        assert result["content"] == []


@over(*REVISIONS)
def test_a_schema_without_a_dialect_is_of_2020_12(conversation: Conversation) -> None:
    """R79."""
    assert conversation.text("newest_dialect", {"pair": ["a", 1]}) == "accepted"
    for wrong in ({"pair": [1, "a"]}, {"pair": ["a", 1, 2]}, {"pair": ["a", 1], "more": 1}, {}):
        assert conversation.tool("newest_dialect", wrong)["isError"], wrong


@over(*REVISIONS)
def test_a_schema_is_checked_in_the_dialect_that_it_names(conversation: Conversation) -> None:
    """R79."""
    assert conversation.text("older_dialect", {"pair": ["a", 1], "reason": "why"}) == "accepted"
    for wrong in ({"pair": ["a", 1]}, {"pair": [1, "a"], "reason": "why"}):
        assert conversation.tool("older_dialect", wrong)["isError"], wrong


@over(*REVISIONS)
def test_schemas_are_listed_as_they_were_written(conversation: Conversation) -> None:
    """R79, R81."""
    listed = tools(conversation)
    assert listed["newest_dialect"]["inputSchema"]["properties"]["pair"]["prefixItems"]
    assert listed["older_dialect"]["inputSchema"]["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert listed["limits"]["inputSchema"]["properties"]["count"]["description"] == "From 1 to 10."


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "object", "$schema": "https://example.com/no-such-dialect"}, "dialect"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}, "not fetched"),
        ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "not fetched"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}}, "not valid"),
        ({"type": "object", "properties": {"a": {"type": "no such type"}}}, "not valid"),
        ({"type": "object", "properties": 5}, "not valid"),
        ({"type": "array"}, "object"),
        ({}, "object"),
    ],
    ids=json.dumps,
)
def test_a_schema_that_cannot_be_served_is_refused_at_registration(schema: JsonObject, told: str) -> None:
    """R79, R81: references to other documents are never fetched."""

    def takes(arguments: dict[str, Any]) -> str:
        return "never called"

    with pytest.raises(InvalidDefinition, match=told):
        define_tool("odd", input_schema=schema)(takes)


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "x" * 129])
def test_a_name_that_is_not_allowed_is_refused_at_registration(name: str) -> None:
    """R81."""

    def takes() -> str:
        return "never called"

    with pytest.raises(InvalidDefinition):
        define_tool(name or " ")(takes)


def test_two_tools_of_one_name_are_one_clear_error_at_start(tmp_path: Path) -> None:
    """R81."""
    for module in ("one_plugin", "other_plugin"):
        source = "from tfo_mcp.plugins import tool\n\n@tool('same')\ndef same() -> str:\n    return 'a'\n"
        (tmp_path / f"{module}.py").write_text(source)
    configuration = {"mcp": {"plugins": ["one_plugin", "other_plugin"]}}
    variables = {"PYTHONPATH": f"{PROJECT}:{tmp_path}"}
    with configuration_file(configuration) as config, child(["serve", *config], variables=variables) as process:
        assert process.wait() != 0
        assert "'same'" in process.stderr()
        assert "Traceback" not in process.stderr()


@over(*REVISIONS)
def test_every_input_schema_is_an_object_schema(conversation: Conversation) -> None:
    """R81."""
    for name, entry in tools(conversation).items():
        assert entry["inputSchema"]["type"] == "object", name
        jsonschema_rs.validator_for(entry["inputSchema"])
    assert tools(conversation)["nothing"]["inputSchema"]["properties"] == {}


@over(*REVISIONS)
def test_names_are_unique_and_tell_case_apart(conversation: Conversation) -> None:
    """R81."""
    names = [entry["name"] for entry in conversation.everything("tools/list", "tools")]
    assert len(set(names)) == len(names)
    assert conversation.text("Case") == "upper"
    assert conversation.text("case") == "lower"
    assert conversation.error("tools/call", {"name": "CASE"})["data"]["kind"] == "tool_not_found"


@over(*since(FIRST_WITH_STRUCTURE))
@pytest.mark.parametrize(
    ("name", "arguments", "structured"),
    [
        ("point", {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        ("named", {"name": "Ada"}, {"name": "Ada"}),
        ("numbers", {}, {"result": [1, 2, 3]}),
    ],
)
def test_structured_content_fits_the_output_schema_and_stands_in_the_text_too(
    conversation: Conversation, name: str, arguments: JsonObject, structured: Any
) -> None:
    """R80."""
    result = conversation.tool(name, arguments)
    assert result["structuredContent"] == structured
    assert jsonschema_rs.is_valid(tools(conversation)[name]["outputSchema"], structured)
    assert json.loads(result["content"][0]["text"]) in (structured, structured.get("result"))


@over(*REVISIONS)
def test_a_result_that_does_not_fit_the_output_schema_is_an_error(conversation: Conversation) -> None:
    """R80."""
    reply = conversation.reply(conversation.start_tool("wrong_shape"))
    assert reply["result"]["isError"]
    assert "secret-value" not in json.dumps(reply)


@over(*REVISIONS)
@pytest.mark.parametrize("name", ["fails", "fails_with_a_schema"])
def test_a_failure_of_the_tool_is_a_result_and_needs_no_structure(conversation: Conversation, name: str) -> None:
    """R78, R80."""
    result = conversation.tool(name)
    assert result["isError"] is True
    assert result["content"][0]["text"]
    assert "structuredContent" not in result


@pytest.fixture(scope="session")
def loose(roots: Path) -> Iterator[Services]:
    """Servers with tools whose structured results are not objects."""
    configuration = settings(roots)
    configuration["mcp"]["plugins"] = [*PLUGINS, "tests.support.plugins.any_json"]
    with services(configuration) as running:
        yield running


@pytest.fixture
def any_json(loose: Services, place: Place, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation with a server whose tools return any JSON value."""
    yield from lend(loose, place, request)


@over(STATELESS)
@pytest.mark.parametrize(
    ("name", "value"), [("raw_numbers", [1, 2, 3]), ("raw_text", "structured"), ("raw_null", None)]
)
def test_structured_content_is_any_json_in_the_stateless_era(any_json: Conversation, name: str, value: Any) -> None:
    """R80."""
    result = any_json.tool(name)
    assert "structuredContent" in result
    assert result["structuredContent"] == value
    assert jsonschema_rs.is_valid(tools(any_json)[name]["outputSchema"], value)


@over(*before(STATELESS))
def test_structured_content_is_an_object_or_nothing_in_the_handshake_era(any_json: Conversation) -> None:
    """R80: an output schema that a revision does not allow hides no other tool."""
    listed = tools(any_json)
    assert "echo" in listed
    for name in ("raw_numbers", "raw_text", "raw_null"):
        assert listed[name].get("outputSchema", {"type": "object"})["type"] == "object"
        result = any_json.tool(name)
        assert isinstance(result.get("structuredContent", {}), dict)
        assert result["content"][0]["text"]


@over(*since(FIRST_WITH_STRUCTURE))
def test_content_is_complete(conversation: Conversation) -> None:
    """R82."""
    text, image, audio, embedded, blob, link = conversation.tool("mixed")["content"]
    assert text["annotations"] == {
        "audience": ["user", "assistant"],
        "priority": 0.5,
        "lastModified": "2025-01-12T15:00:58Z",
    }
    assert base64.b64decode(image["data"], validate=True).startswith(b"\x89PNG")
    assert image["mimeType"] == "image/png"
    assert base64.b64decode(audio["data"], validate=True).startswith(b"RIFF")
    assert audio["mimeType"] == "audio/wav"
    assert embedded["resource"] == {"uri": "note://text", "mimeType": "text/plain", "text": "a note"}
    assert base64.b64decode(blob["resource"]["blob"], validate=True) == b"\x00\xff"
    assert set(blob["resource"]) == {"uri", "mimeType", "blob"}
    assert link == {
        "type": "resource_link",
        "uri": "note://link",
        "name": "link",
        "title": "A link",
        "description": "Leads to a note",
        "mimeType": "text/plain",
        "size": 6,
    }


@over(*before(FIRST_WITH_STRUCTURE))
def test_content_that_a_revision_lacks_is_shown_by_what_it_has(conversation: Conversation) -> None:
    """R21, R82: no content is lost."""
    content = conversation.tool("mixed")["content"]
    assert len(content) == 6
    assert "note://link" in content[-1]["text"]
    sound = content[2].get("data") or content[2]["resource"]["blob"]
    assert base64.b64decode(sound, validate=True).startswith(b"RIFF")


@over(*FEW)
def test_a_result_without_an_error_says_so(conversation: Conversation) -> None:
    """R78."""
    assert conversation.tool("echo", {"message": "hi"})["isError"] is False
