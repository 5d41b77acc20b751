"""Return values of tool functions: the output schema of each type, structured content, blocks and failures."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tests.support.channels import request_by
from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins import (
    Audio,
    BlobContents,
    EmbeddedResource,
    Image,
    ResourceLink,
    Text,
    TextContents,
    ToolError,
    ToolResult,
    tool,
    user,
)
from tfo_mcp.plugins.definitions import definition_of
from tfo_mcp.plugins.results import OutputMismatch, rendered_prompt, resource_contents

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Model(BaseModel):
    """A pydantic model."""

    number: int
    other_name: str = Field(default="x", serialization_alias="otherName")


@dataclass(frozen=True)
class Picture:
    """A dataclass with a block in it."""

    picture: Image | None = None


@dataclass(frozen=True)
class Data:
    """A dataclass."""

    number: int


class Typed(TypedDict):
    """A typed dictionary."""

    number: int


class Color(Enum):
    RED = "red"


class Node(BaseModel):
    """A model that holds itself."""

    children: list["Node"] = []


BLOCKS = (
    Text("t"),
    Image(b"i", "image/png"),
    Audio(b"a", "audio/wav"),
    EmbeddedResource(TextContents("a://b", "t")),
    ResourceLink("a://b", "name"),
)
NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}


def returning(annotation: Any, value: Any, **options: Any) -> Tool:
    """Return a tool whose function has this return annotation and returns this value."""

    def function() -> Any:
        return value

    function.__annotations__["return"] = annotation
    definition = definition_of(tool(**options)(function))
    assert isinstance(definition, Tool)
    return definition


async def result_of(definition: Tool) -> ToolResult:
    """Run a tool without arguments."""
    return await definition.run({}, request_by())


@pytest.mark.parametrize(
    ("annotation", "value", "content"),
    [
        (str, "text", (Text("text"),)),
        (str, "", (Text(""),)),
        (str | None, None, ()),
        (None, None, ()),
        (Any, {"a": 1}, (Text('{"a":1}'),)),
        (Any, "text", (Text("text"),)),
        (Any, list(BLOCKS), BLOCKS),
        *[(type(block), block, (block,)) for block in BLOCKS],
        (list[Text], [], ()),
        (list[Text | Image], [BLOCKS[0], BLOCKS[1]], BLOCKS[:2]),
        (tuple[Text, Image], (BLOCKS[0], BLOCKS[1]), BLOCKS[:2]),
        (tuple[Text, ...], (BLOCKS[0],), BLOCKS[:1]),
        (Annotated[str, "a note"], "text", (Text("text"),)),
        (Text | Image, BLOCKS[1], BLOCKS[1:2]),
        (list[str | Image], ["t", BLOCKS[1]], BLOCKS[:2]),
        (Sequence[Image], (BLOCKS[1],), BLOCKS[1:2]),
        (Iterable[str | Image], iter(["t", BLOCKS[1]]), BLOCKS[:2]),
        (tuple[str, Image], ("t", BLOCKS[1]), BLOCKS[:2]),
        (list[Annotated[Image, "a note"] | str] | None, ["t"], BLOCKS[:1]),
        (Any, ["t", BLOCKS[1]], BLOCKS[:2]),
    ],
)
async def test_text_and_blocks_have_no_structure(annotation: Any, value: Any, content: tuple[Any, ...]) -> None:
    definition = returning(annotation, value)
    assert definition.output_schema is None
    assert await result_of(definition) == ToolResult(content)


@pytest.mark.parametrize(
    ("annotation", "value", "structured"),
    [
        (Model, Model(number=1), {"number": 1, "otherName": "x"}),
        (Data, Data(1), {"number": 1}),
        (Typed, {"number": 1}, {"number": 1}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict, {"a": [None]}, {"a": [None]}),
    ],
)
async def test_an_object_is_structured_content_and_the_same_as_text(
    annotation: Any, value: Any, structured: dict[str, Any]
) -> None:
    definition = returning(annotation, value)
    assert definition.output_schema is not None
    assert definition.output_schema["type"] == "object"
    result = await result_of(definition)
    assert result.structured == structured
    (block,) = result.content
    assert isinstance(block, Text)
    assert json.loads(block.text) == structured


@pytest.mark.parametrize(
    ("annotation", "value", "plain", "schema"),
    [
        (int, 1, 1, {"type": "integer"}),
        (float, 0.5, 0.5, {"type": "number"}),
        (bool, False, False, {"type": "boolean"}),
        (Color, Color.RED, "red", {"type": "string", "enum": ["red"]}),
        (Literal["a"], "a", "a", {"type": "string", "const": "a"}),
        (list[int], [1], [1], {"type": "array", "items": {"type": "integer"}}),
        (list[str], ["a"], ["a"], {"type": "array", "items": {"type": "string"}}),
        (int | None, None, None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (str | int, "a", "a", {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (list[Data], [Data(1)], [{"number": 1}], {"type": "array", "items": {**NUMBER, "description": "A dataclass."}}),
        (Annotated[int, Field(ge=1)], 1, 1, {"type": "integer", "minimum": 1}),
    ],
)
async def test_a_value_that_is_no_object_is_wrapped(annotation: Any, value: Any, plain: Any, schema: Any) -> None:
    definition = returning(annotation, value)
    assert definition.output_schema is not None
    assert definition.output_schema["type"] == "object"
    assert definition.output_schema["properties"] == {"result": schema}
    assert definition.output_schema["required"] == ["result"]
    result = await result_of(definition)
    assert result.structured == {"result": plain}
    assert result.content == (Text(json.dumps(plain, separators=(",", ":"))),)


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (Picture, "Image"),
        (list[Picture], "Image"),
        (dict[str, Image], "Image"),
        (list[list[Text]], "Text"),
        (list[int | Image], "Image"),
        (tuple[Image, int], "Image"),
        (Image | int, "Image"),
        (list[ToolResult], "ToolResult"),
        (bytes, "bytes"),
        (dict[str, bytes], "bytes"),
    ],
)
def test_a_block_in_a_structured_value_is_refused_when_it_is_defined(annotation: Any, name: str) -> None:
    with pytest.raises(
        InvalidDefinition, match=rf"^Tool 'function': the return type has {name} inside .* content blocks"
    ):
        returning(annotation, None)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(list, ["t", Image(b"\xff", "image/png")]), (dict, {"a": Image(b"\xff", "image/png")}), (Any, {"a": b"\xff"})],
)
async def test_a_block_in_a_value_of_an_open_type_is_an_error_that_says_what_to_return(
    annotation: Any, value: Any
) -> None:
    with pytest.raises(OutputMismatch, match=r"the value is no JSON .* return content blocks"):
        await result_of(returning(annotation, value))


async def test_references_inside_a_wrapped_schema_still_lead_somewhere() -> None:
    result = await result_of(returning(list[Node], [Node(children=[Node()])]))
    assert result.structured == {"result": [{"children": [{"children": []}]}]}


async def test_an_object_that_holds_itself_is_an_object() -> None:
    result = await result_of(returning(Node, Node(children=[Node()])))
    assert result.structured == {"children": [{"children": []}]}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("annotation", "value"),
    [(int, "one"), (Data, None), (Typed, {"number": "one"}), (list[int], [1, None]), (Annotated[int, Field(ge=1)], 0)],
)
async def test_a_value_that_breaks_the_output_schema_is_an_error_of_the_tool(annotation: Any, value: Any) -> None:
    with pytest.raises(OutputMismatch, match="function"):
        await result_of(returning(annotation, value))


JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
BITMAP = b"BM\x46\0\0\0\0\0\0\0\x36"
WAVE = b"RIFF\x24\0\0\0WAVEfmt "
RESOURCE = EmbeddedResource(BlobContents("attachment:///image.bmp", BITMAP, "image/bmp"))
SVG = EmbeddedResource(BlobContents("attachment:///image.svg+xml", b"<svg/>", "image/svg+xml"))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (Image(JPEG, "image/png"), Image(JPEG, "image/jpeg")),
        (Image(JPEG, "image/jpg"), Image(JPEG, "image/jpeg")),
        (Image(b"unknown", "image/jpg"), Image(b"unknown", "image/jpeg")),
        (Image(b"unknown", "image/png"), Image(b"unknown", "image/png")),
        (Image(BITMAP, "image/bmp"), RESOURCE),
        (Image(BITMAP, "image/png"), RESOURCE),
        (Image(b"<svg/>", "image/svg+xml"), SVG),
        (Audio(JPEG, "audio/wav"), Image(JPEG, "image/jpeg")),
        (Audio(WAVE, "audio/x-wav"), Audio(WAVE, "audio/wav")),
        (Audio(b"raw", "audio/l16"), Audio(b"raw", "audio/l16")),
    ],
)
async def test_images_and_audio_have_the_type_of_their_data(given: Image | Audio, sent: Any) -> None:
    assert (await result_of(returning(type(given), given))).content == (sent,)
    assert (await result_of(returning(ToolResult, ToolResult((Text("t"), given))))).content == (Text("t"), sent)
    assert rendered_prompt(user(given), None).messages == (user(sent),)


@pytest.mark.parametrize(
    ("value", "mime_type", "found"),
    [
        (JPEG, "image/png", "image/jpeg"),
        (JPEG, None, "application/octet-stream"),
        (BlobContents("a://b", BITMAP, "image/png"), None, "image/bmp"),
        ([BlobContents("a://b", b"unknown", "image/png")], None, "image/png"),
        (JPEG, "application/x-photo", "application/x-photo"),
    ],
)
def test_binary_resources_that_are_named_images_have_the_type_of_their_data(
    value: Any, mime_type: str | None, found: str
) -> None:
    (contents,) = resource_contents(value, "a://b", mime_type)
    assert contents.mime_type == found


class TestToolResult:
    async def test_it_passes_as_it_was_built(self) -> None:
        built = ToolResult(content=BLOCKS, is_error=True)
        definition = returning(ToolResult, built)
        assert definition.output_schema is None
        assert await result_of(definition) == built

    @pytest.mark.parametrize("declared", [NUMBER, Data, Model, Typed])
    async def test_its_structure_may_be_plain_values_whatever_was_declared(self, declared: Any) -> None:
        result = ToolResult(content=(Text("one"),), structured={"number": 1})
        definition = returning(ToolResult, result, output_schema=declared)
        assert definition.output_schema is not None
        assert definition.output_schema["properties"]["number"] == {"type": "integer"}
        found = await result_of(definition)
        assert (found.content, found.structured["number"]) == ((Text("one"),), 1)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("declared", [NUMBER, Data, Model, Typed])
    async def test_a_structure_that_was_not_declared_is_an_error_of_the_tool(self, declared: Any) -> None:
        definition = returning(ToolResult, ToolResult(structured={"number": "one"}), output_schema=declared)
        with pytest.raises(OutputMismatch):
            await result_of(definition)

    async def test_structure_without_blocks_is_shown_as_text_too(self) -> None:
        result = await result_of(returning(ToolResult, ToolResult(structured={"number": 1}), output_schema=NUMBER))
        assert result.content == (Text('{"number":1}'),)

    async def test_a_failure_needs_no_structure(self) -> None:
        result = await result_of(returning(ToolResult, ToolResult.error("no"), output_schema=NUMBER))
        assert result == ToolResult.error("no")

    async def test_blocks_may_be_given_as_a_list(self) -> None:
        built = ToolResult(content=[Text("a")])
        assert (await result_of(returning(ToolResult, built))).content == (Text("a"),)


@pytest.mark.parametrize(
    ("schema", "structured"),
    [({"type": "array", "items": {}}, [1]), ({"type": "null"}, None), ({}, "text"), (NUMBER, {"number": 1})],
)
async def test_an_output_schema_may_describe_any_value(schema: dict[str, Any], structured: Any) -> None:
    definition = returning(ToolResult, ToolResult(structured=structured), output_schema=schema)
    assert definition.output_schema == schema
    result = await result_of(definition)
    assert result.structured == structured
    assert result.content == (Text(json.dumps(structured, separators=(",", ":"))),)


@pytest.mark.parametrize(
    "schema", [{"type": "objekt"}, {"$ref": "https://example.org/a.json"}, {"$schema": "https://example.org/own"}]
)
def test_an_output_schema_that_cannot_be_used_is_refused_at_once(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidDefinition, match="output"):
        returning(ToolResult, ToolResult(), output_schema=schema)


@pytest.mark.parametrize("problem", [ToolError("try x"), KeyError("detail")])
async def test_what_a_function_raises_passes_through(problem: Exception) -> None:
    def fail() -> str:
        raise problem

    async def fail_later() -> str:
        raise problem

    functions: list[Callable[..., Any]] = [fail, fail_later]
    for function in functions:
        definition = definition_of(tool()(function))
        assert isinstance(definition, Tool)
        with pytest.raises(type(problem)) as caught:
            await result_of(definition)
        assert caught.value is problem
