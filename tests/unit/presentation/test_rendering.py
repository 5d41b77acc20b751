"""Rendering per revision: only fields of the revision are sent, and the official types accept them."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.official_types import assert_official
from tfo_mcp.domain.prompt import Prompt, PromptArgument, RenderedPrompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import ABSENT, Tool
from tfo_mcp.plugins import (
    Annotations,
    Audio,
    BlobContents,
    EmbeddedResource,
    Icon,
    Image,
    ResourceLink,
    Text,
    TextContents,
    ToolHints,
    ToolResult,
    assistant,
    user,
)
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.revisions import REVISIONS, Revision

FIRST, SECOND, THIRD, FOURTH, FIFTH = REVISIONS.values()
ALL = list(REVISIONS.values())
ICON = Icon("https://example.org/icon.png", "image/png", ("48x48",), "dark")
NOTES = Annotations(("user",), 0.5, "2030-01-31T00:00:00Z")
BLOCKS = (
    Text("t", NOTES),
    Image(b"i", "image/png", NOTES),
    Audio(b"a", "audio/wav", NOTES),
    EmbeddedResource(TextContents("a://b", "t", "text/plain"), NOTES),
    EmbeddedResource(BlobContents("a://b", b"b")),
    ResourceLink("a://b", "name", "Title", "Described", "text/plain", 5, NOTES),
    ResourceLink("a://b", "name"),
)

STRUCTURED = st.just(ABSENT) | st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


async def unused(*_: object) -> Any:
    """Fill a required function argument; it is never called."""


def named(revision: Revision) -> str:
    """Return the name of a revision in test ids."""
    return revision.version


def checked(method: str, revision: Revision, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as its client receives it, held against the official types of the revision."""
    envelope = {} if revision.handshake else {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    if method in {"tools/call", "prompts/get"}:
        envelope.pop("ttlMs", None)
        envelope.pop("cacheScope", None)
    decoded: dict[str, Any] = json.loads(jsonrpc.encode_value({**envelope, **result}))
    assert_official(method, revision.version, decoded)
    return {name: value for name, value in decoded.items() if name not in envelope}


TOOL = Tool(
    "name",
    unused,
    {"type": "object", "properties": {"a": {"type": "integer", "default": None, "x-own": [None]}}},
    title="Title",
    description="Described",
    output_schema={"type": "object", "properties": {"b": {"const": None}}},
    hints=ToolHints(read_only=True),
    icons=(ICON,),
)


@pytest.mark.parametrize(
    ("revision", "members"),
    [
        (FIRST, {"name", "description", "inputSchema"}),
        (SECOND, {"name", "description", "inputSchema", "annotations"}),
        (THIRD, {"name", "description", "inputSchema", "annotations", "title", "outputSchema"}),
        (FOURTH, {"name", "description", "inputSchema", "annotations", "title", "outputSchema", "icons"}),
        (FIFTH, {"name", "description", "inputSchema", "annotations", "title", "outputSchema", "icons"}),
    ],
)
def test_a_tool_has_the_members_of_the_revision(revision: Revision, members: set[str]) -> None:
    shown = rendering.tool(TOOL, revision)
    assert shown.keys() == members
    assert checked("tools/list", revision, {"tools": [shown]}) == {"tools": [shown]}


def test_schemas_are_sent_as_they_are_with_their_nulls() -> None:
    for revision in ALL:
        (shown,) = checked("tools/list", revision, {"tools": [rendering.tool(TOOL, revision)]})["tools"]
        assert shown["inputSchema"] == TOOL.input_schema
        assert shown.get("outputSchema", TOOL.output_schema) == TOOL.output_schema


@pytest.mark.parametrize(
    ("hints", "shown"),
    [
        (
            ToolHints(),
            {"readOnlyHint": False, "destructiveHint": True},
        ),
        (
            ToolHints(read_only=True),
            {"readOnlyHint": True},
        ),
        (
            ToolHints(destructive=False, idempotent=True, open_world=False),
            {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False},
        ),
    ],
)
def test_hints_are_shown_without_default_values(hints: ToolHints, shown: dict[str, bool]) -> None:
    assert rendering.tool(Tool("name", unused, {"type": "object"}, hints=hints), FIFTH)["annotations"] == shown


@pytest.mark.parametrize("revision", ALL, ids=named)
def test_every_block_reaches_every_revision_in_a_shape_that_it_knows(revision: Revision) -> None:
    shown = rendering.tool_result(ToolResult(BLOCKS), revision)
    assert len(shown["content"]) == len(BLOCKS)
    through = checked("tools/call", revision, shown)
    assert [block["type"] for block in through["content"]] == [block["type"] for block in shown["content"]]
    assert through["isError"] is False


@pytest.mark.parametrize(
    ("block", "revision", "shown"),
    [
        (Text("t"), FIRST, {"type": "text", "text": "t"}),
        (Image(b"\xff", "image/png"), FIRST, {"type": "image", "data": "/w==", "mimeType": "image/png"}),
        (Audio(b"\xff", "audio/wav"), SECOND, {"type": "audio", "data": "/w==", "mimeType": "audio/wav"}),
        (
            Audio(b"\xff", "audio/wav"),
            FIRST,
            {"type": "resource", "resource": {"uri": "data:,", "mimeType": "audio/wav", "blob": "/w=="}},
        ),
        (
            ResourceLink("a://b", "name", size=0),
            THIRD,
            {"type": "resource_link", "uri": "a://b", "name": "name", "size": 0},
        ),
        (ResourceLink("a://b", "name"), SECOND, {"type": "text", "text": "name: a://b"}),
        (ResourceLink("a://b", "name", "Title"), FIRST, {"type": "text", "text": "Title: a://b"}),
        (
            Text("t", Annotations(priority=0.0)),
            FIFTH,
            {"type": "text", "text": "t", "annotations": {"priority": 0.0}},
        ),
    ],
)
def test_a_block_is_shown_by_what_the_revision_has(block: Any, revision: Revision, shown: dict[str, Any]) -> None:
    assert rendering.content(block, revision) == shown


class TestResults:
    @pytest.mark.parametrize("revision", ALL, ids=named)
    @pytest.mark.parametrize("structured", [{"result": None}, {"a": {"b": None}, "c": [None]}, {}])
    def test_structured_content_is_sent_with_its_nulls(self, revision: Revision, structured: dict[str, Any]) -> None:
        through = checked("tools/call", revision, rendering.tool_result(ToolResult(structured=structured), revision))
        assert through.get("structuredContent") == (structured if ALL.index(revision) >= 2 else None)

    @pytest.mark.parametrize("revision", ALL, ids=named)
    @pytest.mark.parametrize("structured", [[1], "text", 5, False, None])
    def test_structure_that_is_no_object_is_sent_where_it_is_known(self, revision: Revision, structured: Any) -> None:
        result = ToolResult((Text("t"),), structured=structured)
        through = checked("tools/call", revision, rendering.tool_result(result, revision))
        assert through["content"] == [{"type": "text", "text": "t"}]
        assert ("structuredContent" in through) is (revision is FIFTH)
        assert through.get("structuredContent") == (structured if revision is FIFTH else None)

    @pytest.mark.parametrize("revision", ALL, ids=named)
    @pytest.mark.parametrize("schema", [{"type": "array"}, {}, {"type": ["object", "null"]}])
    def test_an_output_schema_of_other_values_hides_the_tool_from_no_revision(
        self, revision: Revision, schema: dict[str, Any]
    ) -> None:
        shown = rendering.tool(Tool("name", unused, {"type": "object"}, output_schema=schema), revision)
        (through,) = checked("tools/list", revision, {"tools": [shown]})["tools"]
        assert through.get("outputSchema") == (schema if revision is FIFTH else None)

    @pytest.mark.parametrize("revision", ALL, ids=named)
    def test_a_failure_says_so(self, revision: Revision) -> None:
        through = checked("tools/call", revision, rendering.tool_result(ToolResult.error("no"), revision))
        assert through == {"content": [{"type": "text", "text": "no"}], "isError": True}


@pytest.mark.parametrize("revision", ALL, ids=named)
@given(result=st.builds(ToolResult, st.builds(Text, st.text()).map(lambda block: (block,)), STRUCTURED, st.booleans()))
def test_a_plain_text_is_encoded_like_every_result_and_the_official_types_accept_it(
    revision: Revision, result: ToolResult
) -> None:
    encoded = rendering.text_result(result, revision)
    assert encoded is not None
    members = json.loads(b"{%b}" % encoded)
    assert members == checked("tools/call", revision, members)
    assert members == json.loads(jsonrpc.encode_value(rendering.tool_result(result, revision)))


@pytest.mark.parametrize(
    "result",
    [
        ToolResult(),
        ToolResult((Text("a"), Text("b"))),
        ToolResult((Text("a", NOTES),)),
        ToolResult((Text("a", meta={"a/b": 1}),)),
        ToolResult((Text("a"),), meta={"a/b": 1}),
        ToolResult((Text(1),)),  # type: ignore[arg-type]
        ToolResult((Image(b"i", "image/png"),)),
    ],
)
def test_every_other_result_is_left_to_the_schema(result: ToolResult) -> None:
    assert rendering.text_result(result, FIFTH) is None


class TestResources:
    @pytest.mark.parametrize("revision", ALL, ids=named)
    def test_a_resource_has_what_the_revision_knows(self, revision: Revision) -> None:
        entity = Resource("a://b", "name", unused, "Title", "Described", "text/plain", 0, NOTES, (ICON,))
        shown = rendering.resource(entity, revision)
        assert ("title" in shown, "icons" in shown) == (ALL.index(revision) >= 2, ALL.index(revision) >= 3)
        assert (shown["uri"], shown["mimeType"], shown["size"]) == ("a://b", "text/plain", 0)
        (through,) = checked("resources/list", revision, {"resources": [shown]})["resources"]
        assert through["name"] == "name"

    @pytest.mark.parametrize("revision", ALL, ids=named)
    def test_a_template_has_what_the_revision_knows(self, revision: Revision) -> None:
        entity = ResourceTemplate("a://{b}", "name", unused, "Title", icons=(ICON,))
        shown = rendering.resource_template(entity, revision)
        assert ("title" in shown, "icons" in shown) == (ALL.index(revision) >= 2, ALL.index(revision) >= 3)
        through = checked("resources/templates/list", revision, {"resourceTemplates": [shown]})
        assert through["resourceTemplates"][0]["uriTemplate"] == "a://{b}"

    def test_contents_are_text_or_base64(self) -> None:
        assert rendering.resource_contents(TextContents("a://b", "", "text/plain"), FIFTH) == {
            "uri": "a://b",
            "mimeType": "text/plain",
            "text": "",
        }
        data = bytes(range(256))
        assert rendering.resource_contents(BlobContents("a://b", data), FIFTH) == {
            "uri": "a://b",
            "blob": b64encode(data).decode(),
        }


class TestPrompts:
    @pytest.mark.parametrize("revision", ALL, ids=named)
    def test_arguments_say_whether_they_are_required(self, revision: Revision) -> None:
        arguments = (PromptArgument("a", "A", "Described", required=True), PromptArgument("b"))
        shown = rendering.prompt(Prompt("name", unused, "Title", arguments=arguments), revision)
        assert [argument["required"] for argument in shown["arguments"]] == [True, False]
        assert ("title" in shown["arguments"][0]) == (ALL.index(revision) >= 2)
        (through,) = checked("prompts/list", revision, {"prompts": [shown]})["prompts"]
        assert [argument["name"] for argument in through["arguments"]] == ["a", "b"]

    @pytest.mark.parametrize("revision", ALL, ids=named)
    def test_messages_carry_every_block(self, revision: Revision) -> None:
        rendered = RenderedPrompt((*[user(block) for block in BLOCKS], assistant("a")), "Described")
        through = checked("prompts/get", revision, rendering.rendered_prompt(rendered, revision))
        assert len(through["messages"]) == len(BLOCKS) + 1
        assert (through["description"], through["messages"][-1]["role"]) == ("Described", "assistant")


@pytest.mark.parametrize(("revision", "completions"), [(FIRST, False), (SECOND, True), (FIFTH, True)])
def test_capabilities_name_completions_since_they_have_a_name(revision: Revision, completions: bool) -> None:
    assert ("completions" in rendering.server_capabilities(revision)) is completions


@pytest.mark.parametrize("value", [None, 5, "text", [1], True])
def test_what_is_no_object_is_an_empty_one(value: object) -> None:
    assert rendering.mapping(value) == {}
