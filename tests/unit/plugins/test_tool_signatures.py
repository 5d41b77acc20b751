"""Signatures of tool functions: the input schema, validation, conversion, and signatures that are refused."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from tests.support.channels import request_by
from tfo_mcp.domain.errors import InvalidArguments, InvalidDefinition
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins import Context, SyncContext, Text, tool
from tfo_mcp.plugins.definitions import definition_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Color(Enum):
    """Three of them."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Place(BaseModel):
    """Somewhere."""

    name: str
    height: int = 0


@dataclass(frozen=True)
class Point:
    """Two numbers."""

    x: int
    y: int = 0


def tool_of(function: Callable[..., Any], **options: Any) -> Tool:
    """Return the tool that is made from a function."""
    definition = definition_of(tool(**options)(function))
    assert isinstance(definition, Tool)
    return definition


async def said(definition: Tool, **arguments: Any) -> str:
    """Run a tool that returns one text block, and return its text."""
    (block,) = (await definition.run(arguments, request_by())).content
    assert isinstance(block, Text)
    return block.text


def no_parameters() -> str:
    return ""


def plain(a: int, b: float = 1.5, c: str = "x", d: bool = False) -> str:
    return ""


def described(a: Annotated[str, Field(min_length=2, description="A text.")]) -> str:
    return ""


def chosen(a: Literal["x", "y"], b: Color) -> str:
    return ""


def optional(a: int | None = None) -> str:
    return ""


def listed(a: list[str], b: dict[str, int]) -> str:
    return ""


def unannotated(a, b=1):  # type: ignore[no-untyped-def]
    return ""


def odd_names(self: str, model_config: int, p0: str, schema: str = "") -> str:
    return f"{self} {model_config} {p0} {schema}"


@pytest.mark.parametrize(
    ("function", "properties", "required"),
    [
        (no_parameters, {}, []),
        (
            plain,
            {
                "a": {"type": "integer"},
                "b": {"type": "number", "default": 1.5},
                "c": {"type": "string", "default": "x"},
                "d": {"type": "boolean", "default": False},
            },
            ["a"],
        ),
        (described, {"a": {"type": "string", "minLength": 2, "description": "A text."}}, ["a"]),
        (
            chosen,
            {
                "a": {"type": "string", "enum": ["x", "y"]},
                "b": {"type": "string", "enum": ["red", "green", "blue"], "description": "Three of them."},
            },
            ["a", "b"],
        ),
        (optional, {"a": {"type": "integer"}}, []),
        (
            listed,
            {
                "a": {"type": "array", "items": {"type": "string"}},
                "b": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
            ["a", "b"],
        ),
        (unannotated, {"a": {}, "b": {"default": 1}}, ["a"]),
    ],
)
def test_the_signature_is_the_input_schema(
    function: Callable[..., Any], properties: Mapping[str, Any], required: list[str]
) -> None:
    schema = tool_of(function).input_schema
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["properties"] == properties
    assert schema.get("required", []) == required


def test_the_function_gives_name_and_description_and_stays_what_it_was() -> None:
    @tool()
    def add(a: int, b: int) -> int:
        """Add two numbers.

        Both of them.
        """
        return a + b

    definition = definition_of(add)
    assert isinstance(definition, Tool)
    assert (definition.name, definition.description) == ("add", "Add two numbers.\n\nBoth of them.")
    assert add(1, 2) == 3


def test_the_decorator_overrides_what_the_function_gives() -> None:
    definition = tool_of(no_parameters, name="other-name", title="Title", description="Described")
    assert (definition.name, definition.title, definition.description) == ("other-name", "Title", "Described")


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({}, "a: required, but missing; expected an integer"),
            ({"a": "1"}, 'a: expected an integer, got the string "1"'),
            ({"a": 1.5}, "a: expected an integer, got the number 1.5"),
            ({"a": True}, "a: expected an integer, got the boolean true"),
            ({"a": None}, "a: expected an integer, got null"),
            ({"a": 1, "b": "1.5"}, 'b: expected a number, got the string "1.5"'),
            ({"a": 1, "d": 1}, "d: expected a boolean, got the integer 1"),
            ({"a": 1, "z": 1}, "z: unknown argument (known: a, b, c, d)"),
        ],
    )
    async def test_what_the_schema_forbids_is_refused_by_name(self, arguments: dict[str, Any], problem: str) -> None:
        with pytest.raises(InvalidArguments) as caught:
            await tool_of(plain).run(arguments, request_by())
        assert caught.value.message.startswith("Invalid arguments for plain: ")
        assert problem in caught.value.message

    async def test_few_problems_are_named_and_long_values_are_cut(self) -> None:
        with pytest.raises(InvalidArguments) as caught:
            await tool_of(listed).run({"a": [{"long": "x" * 1000}] * 50, "b": {}}, request_by())
        assert len(caught.value.message) < 2500

    async def test_the_function_gets_its_own_types(self) -> None:
        def types(day: date, color: Color, place: Place, point: Point, numbers: set[int], ratio: float) -> str:
            return " ".join(type(value).__name__ for value in (day, color, place, point, numbers, ratio))

        arguments: dict[str, Any] = {
            "day": "2030-01-31",
            "color": "red",
            "place": {"name": "here"},
            "point": {"x": 1},
            "numbers": [1, 2],
            "ratio": 1,
        }
        assert await said(tool_of(types), **arguments) == "date Color Place Point set float"

    async def test_what_only_the_conversion_can_find_is_refused_as_well(self) -> None:
        def on(day: date) -> str:
            return ""

        with pytest.raises(InvalidArguments, match="day: "):
            await tool_of(on).run({"day": "2030-02-31"}, request_by())

    async def test_a_parameter_may_have_any_name(self) -> None:
        arguments: dict[str, Any] = {"self": "a", "model_config": 2, "p0": "c", "schema": "d"}
        assert await said(tool_of(odd_names), **arguments) == "a 2 c d"

    async def test_defaults_are_not_shared_between_calls(self) -> None:
        def gather(items: list[int] = []) -> str:  # noqa: B006
            items.append(1)
            return str(items)

        definition = tool_of(gather)
        assert [await said(definition) for _ in range(3)] == ["[1]"] * 3

    async def test_a_context_is_no_argument(self) -> None:
        async def with_context(ctx: Context, a: int) -> str:
            return f"{ctx.caller.name} {a}"

        def with_sync_context(a: int, request: SyncContext) -> str:
            return f"{request.caller.name} {a}"

        for function in (with_context, with_sync_context):
            definition = tool_of(function)
            assert list(definition.input_schema["properties"]) == ["a"]
            assert await said(definition, a=1) == "owner 1"


def positional(a: int, /) -> str:
    return ""


def variadic(*args: int) -> str:
    return ""


def keyworded(**kwargs: int) -> str:
    return ""


def without_schema(a: socket.socket) -> str:
    return ""


def result_without_schema() -> socket.socket:
    raise NotImplementedError


def unresolved(a: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


def two_contexts(a: SyncContext, b: SyncContext) -> str:
    return ""


def wrong_context(a: Context) -> str:
    return ""


async def wrong_async_context(a: SyncContext) -> str:
    return ""


def bad_header(a: Annotated[float, Field(json_schema_extra={"x-mcp-header": "A"})]) -> str:
    return ""


@pytest.mark.parametrize(
    "function",
    [
        positional,
        variadic,
        keyworded,
        without_schema,
        result_without_schema,
        unresolved,
        two_contexts,
        wrong_context,
        wrong_async_context,
        bad_header,
    ],
)
def test_what_cannot_be_served_is_an_error_at_once_that_names_the_tool(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        tool()(function)
    assert repr(function.__name__) in caught.value.message


def short(b: int, a: tuple[int, int] = (1,)) -> str:  # type: ignore[assignment]
    return ""


def hollow(b: int, a: Place = {}) -> str:  # type: ignore[assignment]  # noqa: B006
    return ""


def hollow_inside(b: int, a: list[Point] = [{"y": 1}]) -> str:  # type: ignore[list-item]  # noqa: B006
    return ""


@pytest.mark.parametrize(("function", "place"), [(short, "a.1"), (hollow, "a.name"), (hollow_inside, "a.0.x")])
def test_a_default_that_lacks_a_value_is_refused_with_its_place(function: Callable[..., Any], place: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        tool_of(function)
    assert f"the default of 'a' does not fit its type: {place}: " in refused.value.message


def increased(number: int) -> int:
    return number + 1


def no_json(a: Annotated[int, BeforeValidator(len)] = frozenset("abc")) -> str:  # type: ignore[assignment]
    return ""


def converted(
    flag: bool = "yes",  # type: ignore[assignment]
    number: int = "5",  # type: ignore[assignment]
    several: list[int] | None = ("1", 2),  # type: ignore[assignment]
    color: Color = "red",  # type: ignore[assignment]
    day: date = date(2030, 1, 31),
    size: Annotated[int, BeforeValidator(len)] = "four",  # type: ignore[assignment]
    more: Annotated[int, AfterValidator(increased)] = 1,
    place: Place = Place(name="here"),  # noqa: B008
) -> str:
    return f"{flag} {number} {several} {color.name} {day} {size} {more} {place.name}"


async def test_published_defaults_fit_the_published_schema() -> None:
    definition = tool_of(converted)
    defaults = {name: one.get("default") for name, one in definition.input_schema["properties"].items()}
    assert defaults == {
        "flag": True,
        "number": 5,
        "several": [1, 2],
        "color": "red",
        "day": "2030-01-31",
        "size": 4,
        "more": 1,
        "place": {"name": "here", "height": 0},
    }
    assert defaults["flag"] is True
    assert await said(definition) == "True 5 [1, 2] RED 2030-01-31 4 2 here"
    (property_of_no_json,) = tool_of(no_json).input_schema["properties"].values()
    assert property_of_no_json["default"] == 3


def test_a_mirrored_parameter_comes_from_the_metadata_of_a_field() -> None:
    def run(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
        return region

    (mirrored,) = tool_of(run).mirrored
    assert (mirrored.header, mirrored.path, mirrored.json_type) == ("Region", ("region",), "string")


class TestRawSchemas:
    SCHEMA: Mapping[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"query": {"$ref": "#/$defs/Query"}, "deep": {"type": "boolean"}},
        "required": ["query"],
        "$defs": {"Query": {"oneOf": [{"type": "string"}, {"type": "integer"}]}},
        "x-own": {"kept": True},
    }

    async def test_it_is_published_as_it_was_written_except_for_references(self) -> None:
        def search(query: Any, deep: bool = False) -> str:
            return f"{query} {deep}"

        definition = tool_of(search, input_schema=self.SCHEMA)
        query = self.SCHEMA["$defs"]["Query"]
        expected = {**self.SCHEMA, "properties": {**self.SCHEMA["properties"], "query": query}}
        del expected["$defs"]
        assert definition.input_schema == expected
        assert await said(definition, query=5, deep=True) == "5 True"
        with pytest.raises(InvalidArguments, match="query: "):
            await definition.run({"query": []}, request_by())

    async def test_all_arguments_are_given_as_one_dictionary_to_whom_asks_for_it(self) -> None:
        async def search(arguments: dict[str, Any], ctx: Context) -> str:
            return f"{arguments} {ctx.caller.name}"

        assert await said(tool_of(search, input_schema=self.SCHEMA), query="q", other=1) == (
            "{'query': 'q', 'other': 1} owner"
        )

    async def test_arguments_is_an_ordinary_name_among_other_parameters(self) -> None:
        def start(program: str, arguments: list[str]) -> str:
            return " ".join([program, *arguments])

        schema = {
            "type": "object",
            "properties": {"program": {"type": "string"}, "arguments": {"type": "array", "items": {"type": "string"}}},
            "required": ["program", "arguments"],
        }
        assert await said(tool_of(start, input_schema=schema), program="ls", arguments=["-l"]) == "ls -l"

    @pytest.mark.parametrize(
        "dialect",
        [
            "https://json-schema.org/draft/2020-12/schema",
            "https://json-schema.org/draft/2019-09/schema",
            "http://json-schema.org/draft-07/schema#",
            "http://json-schema.org/draft-06/schema#",
            "http://json-schema.org/draft-04/schema#",
        ],
    )
    async def test_it_may_name_its_dialect(self, dialect: str) -> None:
        def run(a: str) -> str:
            return a

        definition = tool_of(run, input_schema={"$schema": dialect, "type": "object", "required": ["a"]})
        assert await said(definition, a="x") == "x"
        with pytest.raises(InvalidArguments):
            await definition.run({}, request_by())

    @pytest.mark.parametrize(
        "schema",
        [
            {"$schema": "http://json-schema.org/draft-03/schema#", "type": "object"},
            {"$schema": "https://example.org/own", "type": "object"},
            {"$schema": 5, "type": "object"},
            {"type": "objekt"},
            {"type": "object", "properties": 5},
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
            {"type": "object", "properties": {"a": {"$ref": "https://example.org/a.json"}}},
            {"type": "object", "properties": {"a": {"$ref": "file:///etc/hostname"}}},
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
            {"type": "array"},
            {},
        ],
    )
    def test_one_that_cannot_be_used_is_an_error_at_once(self, schema: dict[str, Any]) -> None:
        with pytest.raises(InvalidDefinition) as caught:
            tool_of(no_parameters, input_schema=schema)
        assert "'no_parameters'" in caught.value.message
