"""The Tool entity: valid definitions, and the parameters that clients mirror into headers."""

from collections.abc import Mapping
from typing import Any

import pytest

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.tool import MirroredParameter, Tool, ToolHints, ToolResult


async def unused(*_: object) -> ToolResult:
    """Fill a required function argument; it is never called."""
    return ToolResult()


def tool(
    name: str = "name",
    schema: Mapping[str, Any] | None = None,
    hints: ToolHints | None = None,
    scope: str | None = None,
) -> Tool:
    """Return a tool."""
    return Tool(name, unused, {"type": "object"} if schema is None else schema, hints=hints, own_scope=scope)


def schema(**properties: Any) -> dict[str, Any]:
    """Return an object schema."""
    return {"type": "object", "properties": properties}


def header(name: Any, kind: Any = "string") -> dict[str, Any]:
    """Return the schema of a property that is mirrored into a header."""
    return {"type": kind, "x-mcp-header": name}


@pytest.mark.parametrize("name", ["a", "A-Z.a_z-09", "x" * 128])
def test_names_of_the_allowed_characters_are_taken(name: str) -> None:
    assert tool(name).key == name


@pytest.mark.parametrize("name", ["", "x" * 129, "with space", "a/b", "naïve", "line\n", "comma,"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidDefinition, match="1 to 128 characters"):
        tool(name)


@pytest.mark.parametrize("root", [{}, {"type": "array"}, {"type": ["object"]}, {"properties": {}}])
def test_the_input_schema_is_of_an_object(root: dict[str, Any]) -> None:
    with pytest.raises(InvalidDefinition, match="'type': 'object'"):
        tool(schema=root)


@pytest.mark.parametrize(
    ("hints", "scope"),
    [(None, "tools:write"), (ToolHints(), "tools:write"), (ToolHints(read_only=True), "tools:read")],
)
def test_a_tool_needs_the_scope_of_what_it_says_that_it_does(hints: ToolHints | None, scope: str) -> None:
    assert tool(hints=hints).scope == scope
    assert tool(hints=hints, scope="tools:ai").scope == "tools:ai"
    with pytest.raises(InvalidDefinition, match="the scope must be one of tools:read, "):
        tool(hints=hints, scope="tools:none")


def test_a_failed_result_says_why() -> None:
    result = ToolResult.error("why")
    assert result.is_error
    assert [block.text for block in result.content if hasattr(block, "text")] == ["why"]


class TestMirroredParameters:
    def test_they_are_found_by_their_path(self) -> None:
        nested = schema(
            region=header("Region"),
            inner=schema(level=header("Level", "integer"), deeper=schema(on=header("On", "boolean"))),
            plain={"type": "string"},
        )
        assert tool(schema=nested).mirrored == (
            MirroredParameter("Region", ("region",), "string"),
            MirroredParameter("Level", ("inner", "level"), "integer"),
            MirroredParameter("On", ("inner", "deeper", "on"), "boolean"),
        )

    def test_a_property_may_have_the_keyword_for_its_name(self) -> None:
        assert tool(schema=schema(**{"x-mcp-header": {"type": "string"}})).mirrored == ()

    @pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", 5, None, ["a"]])
    def test_the_header_is_a_token(self, name: Any) -> None:
        with pytest.raises(InvalidDefinition, match="x-mcp-header"):
            tool(schema=schema(region=header(name)))

    @pytest.mark.parametrize("kind", ["number", "object", "array", "null", ["string", "null"], None])
    def test_the_parameter_is_a_string_an_integer_or_a_boolean(self, kind: Any) -> None:
        with pytest.raises(InvalidDefinition, match="string, integer or boolean"):
            tool(schema=schema(region=header("Region", kind)))

    def test_two_parameters_cannot_share_a_header_whatever_its_case(self) -> None:
        with pytest.raises(InvalidDefinition, match="the same"):
            tool(schema=schema(a=header("Region"), inner=schema(b=header("REGION"))))

    @pytest.mark.parametrize(
        "unreachable",
        [
            schema(list={"type": "array", "items": header("Region")}),
            {"type": "object", "anyOf": [schema(a=header("Region"))]},
            {"type": "object", "$defs": {"R": header("Region")}, "properties": {"a": {"$ref": "#/$defs/R"}}},
            {"type": "object", "x-mcp-header": "Region"},
            {"type": "object", "additionalProperties": header("Region")},
            {"type": "object", "patternProperties": {"^a": header("Region")}},
            {"type": "object", "if": schema(a=header("Region"))},
        ],
    )
    def test_they_stand_only_on_properties_that_are_reached_from_the_root(self, unreachable: dict[str, Any]) -> None:
        with pytest.raises(InvalidDefinition, match="may stand only on 'properties'"):
            tool(schema=unreachable)
