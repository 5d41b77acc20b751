"""Published schemas: references inlined where possible, accepted by strict clients, with the original's meaning."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

from tests.support.plugins import shapes
from tfo_mcp.builtin import MODULES, loaded
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins.loader import collect
from tfo_mcp.plugins.portable_schemas import listed_input, portable_input, portable_output
from tfo_mcp.plugins.subschemas import descendants, located, target_of

TOOLS = {one.name: one for one in collect([*loaded(MODULES), shapes]) if isinstance(one, Tool)}
RECURSIVE_IN = {"adopted", "planted", "filed", "grown"}
RECURSIVE_OUT = {*RECURSIVE_IN, "written"}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "v": {"type": "integer"}}}


def schemas() -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield the schemas of all tools, each with its name and whether it recurs or is large."""
    for name, tool in TOOLS.items():
        yield f"{name} input", tool.input_schema, name in RECURSIVE_IN
        if tool.output_schema is not None:
            yield f"{name} output", tool.output_schema, name in RECURSIVE_OUT


every_schema = pytest.mark.parametrize(
    ("schema", "recurs"), [(schema, recurs) for _, schema, recurs in schemas()], ids=[name for name, *_ in schemas()]
)


def defined(reference: str, **definitions: Any) -> dict[str, Any]:
    """Return an object schema whose property `a` refers to a definition."""
    return {"type": "object", "properties": {"a": {"$ref": reference}}, "$defs": definitions}


@every_schema
def test_references_are_left_in_recursive_or_large_schemas_only_and_lead_somewhere(
    schema: Mapping[str, Any], recurs: bool
) -> None:
    references = [part["$ref"] for part in descendants(schema) if "$ref" in part]
    assert bool(references) == recurs
    for reference in references:
        target = target_of(reference, {})
        assert target is not None
        assert isinstance(located(schema, target), Mapping)
    assert len(json.dumps(schema)) < 100_000


@every_schema
def test_every_schema_suits_strict_clients(schema: Mapping[str, Any], recurs: bool) -> None:
    assert schema["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf"} & schema.keys()
    for part in descendants(schema):
        assert part.get("type") != "array" or isinstance(part.get("items"), Mapping)
        items = part.get("items")
        assert not isinstance(items, Mapping) or not isinstance(items.get("type"), list)
        assert all(isinstance(child, Mapping) for child in part.get("properties", {}).values())
        assert "discriminator" not in part
        values = [part["const"]] if "const" in part else part.get("enum", [])
        assert "type" in part or len({type(value) for value in values}) != 1 or isinstance(values[0], dict)


@pytest.mark.parametrize("tool", [tool for tool in TOOLS.values() if tool.output_schema], ids=lambda tool: tool.name)
def test_an_output_schema_survives_clients_that_keep_little_of_its_root(tool: Tool) -> None:
    assert tool.output_schema is not None
    kept = {key: tool.output_schema[key] for key in ("type", "properties", "required") if key in tool.output_schema}
    assert isinstance(tool.output_schema.get("additionalProperties", True), bool)
    jsonschema_rs.validator_for(kept)


def test_items_have_one_type_each() -> None:
    for kinds, items in (
        (["string", "null"], {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (["string"], {"type": "string"}),
    ):
        given = {"type": "array", "items": {"type": kinds, "minLength": 2}}
        listed = listed_input(portable_input({"type": "object", "properties": {"a": given}}))
        assert listed["properties"]["a"]["items"] == {**items, "minLength": 2}


def test_definitions_are_kept_only_while_they_are_referred_to() -> None:
    schema = {**defined("#/$defs/Node", Node=NODE, Other={"type": "string"})}
    assert portable_input(schema)["$defs"].keys() == {"Node"}
    assert "$defs" not in portable_input(defined("#/$defs/Other", Node=NODE, Other={"type": "string"}))
    anchored = {"$anchor": "address", "type": "string"}
    kept = portable_input(defined("#address", Address=anchored))
    assert kept["properties"]["a"] == {"type": "string"}
    assert kept["$defs"] == {"Address": anchored}


def test_keywords_beside_a_reference_are_kept() -> None:
    beside = {"$ref": "#/$defs/Text", "description": "Own.", "default": "x", "title": "Mine"}
    schema = {
        "type": "object",
        "properties": {"a": beside},
        "$defs": {"Text": {"type": "string", "description": "Its."}},
    }
    assert portable_input(schema)["properties"]["a"] == {
        "type": "string",
        "description": "Own.",
        "default": "x",
        "title": "Mine",
    }


@pytest.mark.parametrize("depth", [1, 5, 12, 40, 300])
def test_a_chain_of_definitions_each_used_twice_stays_small(depth: int) -> None:
    chain = {
        f"D{level}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/D{level + 1}"} for side in "lr"}}
        for level in range(depth)
    }
    schema = portable_input(defined("#/$defs/D0", **chain, **{f"D{depth}": {"type": "integer"}}))
    original = defined("#/$defs/D0", **chain)
    assert len(json.dumps(schema)) < max(60_000, 3 * len(json.dumps(original)))
    jsonschema_rs.validator_for(schema)


def test_a_long_chain_of_definitions_does_not_nest_without_bound() -> None:
    chain = {f"D{level}": {"type": "array", "items": {"$ref": f"#/$defs/D{level + 1}"}} for level in range(500)}
    schema = portable_input(defined("#/$defs/D0", **chain, D500={"type": "integer"}))
    jsonschema_rs.validator_for(schema)
    assert json.dumps(schema).count("{") < 3000


VALUES: list[Any] = [
    None, True, 0, 1, 7, 1.0, 1.5, "", "x", "text", [], [1], [1, "x"], [1, "x", 2], ["x"], {}, {"a": 1}, {"a": "x"},
    {"a": {"v": 1}}, {"a": {"v": "x"}}, {"a": {"next": {"next": {"v": "x"}}}}, {"a": {"next": {"v": 1}}}, {"b": 1},
    {"a": [1, "x"]}, {"a": [1, "x", 2]}, {"a": [1]}, {"a": []}, {"a": None}, {"a": True}, {"a": "text"},
    {"a": 1, "b": 1}, {"a": 1, "b": "x"}, {"$ref": 1}, {"$ref": {"$ref": "#/$defs/T"}}, {"a": 1.0},
]  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        defined("#/$defs/T", T={"type": "integer"}),
        defined("#/$defs/T", T=True),
        defined("#/$defs/T", T=False),
        defined("#/$defs/Node", Node=NODE),
        defined("#/$defs/A", A={"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}, B={"enum": [1, 7]}),
        defined(
            "#/$defs/A",
            A={"properties": {"next": {"$ref": "#/$defs/B"}}},
            B={"properties": {"next": {"$ref": "#/$defs/A"}, "v": {"type": "integer"}}},
        ),
        defined("#/$defs/a~1b", **{"a/b": {"type": "string"}}),
        defined("#/$defs/a%20b", **{"a b": {"type": "string"}}),
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}, "v": {"type": "integer"}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/T", "minLength": 2}},
            "$defs": {"T": {"maxLength": 4, "minLength": 1}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/T", "allOf": [{"minLength": 2}]}},
            "$defs": {"T": {"type": "string", "allOf": [{}]}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/T", "properties": {"v": {}}}},
            "$defs": {"T": {"additionalProperties": False}},
        },
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"a": {"$ref": "#/definitions/T", "minLength": 9}},
            "definitions": {"T": {"type": "string"}},
        },
        {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
        {"$ref": "#/$defs/Node", "required": ["a"], "$defs": {"Node": NODE}},
        {"type": "object", "properties": {"a": True, "b": False}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": True}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": False}}},
        {"type": "object", "properties": {"a": {"type": ["array", "null"]}}},
        {
            "type": "object",
            "properties": {"a": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}},
        },
        {
            "type": "object",
            "properties": {
                "a": {
                    "type": "array",
                    "prefixItems": [{"type": "integer"}, {"type": "string"}],
                    "maxItems": 2,
                    "minItems": 2,
                }
            },
        },
        {
            "type": "object",
            "properties": {"a": {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}},
        },
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"a": {"type": "array", "items": [{"type": "integer"}]}},
        },
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {
            "type": "object",
            "properties": {"a": {}},
            "additionalProperties": {"$ref": "#/$defs/T"},
            "$defs": {"T": {"type": "integer"}},
        },
        {
            "type": "object",
            "patternProperties": {"^a": {}},
            "additionalProperties": {"type": "integer"},
            "allOf": [{"required": ["b"]}],
        },
        {"type": "object", "properties": {"a": {"const": 1}}},
        {"type": "object", "properties": {"a": {"enum": [1, 1.5]}}},
        {"type": "object", "properties": {"a": {"enum": [1, "x"]}}},
        {"type": "object", "properties": {"a": {"enum": [None]}}},
        {"type": "object", "properties": {"$ref": {"type": "integer"}}, "$defs": {"T": {"type": "string"}}},
        {
            "type": "object",
            "properties": {"$ref": {"const": {"$ref": "#/$defs/T"}}},
            "$defs": {"T": {"type": "string"}},
        },
        {
            "type": "object",
            "properties": {
                "a": {"$id": "https://example.org/a", "$ref": "#/$defs/T", "$defs": {"T": {"type": "string"}}}
            },
            "$defs": {"T": {"type": "integer"}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/T", "unevaluatedItems": False}},
            "$defs": {"T": {"type": "array", "prefixItems": [{}]}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/T", "unevaluatedProperties": False}},
            "$defs": {"T": {"properties": {"v": {}}}},
        },
        {"type": "object", "dependentSchemas": {"a": {"$ref": "#/$defs/T"}}, "$defs": {"T": {"required": ["b"]}}},
        {
            "type": "object",
            "if": {"required": ["a"]},
            "then": {"$ref": "#/$defs/T"},
            "$defs": {"T": {"required": ["b"]}},
        },
    ],
    ids=lambda schema: json.dumps(schema)[:80],
)
def test_a_published_schema_accepts_exactly_what_the_original_accepts(schema: dict[str, Any]) -> None:
    original = jsonschema_rs.validator_for(schema)
    for published in (portable_input(schema), portable_output(schema)):
        validator = jsonschema_rs.validator_for(published)
        for value in VALUES:
            assert validator.is_valid(value) == original.is_valid(value), (published, value)


@pytest.mark.parametrize(("items", "published"), [(True, {}), (False, {"not": {}})])
def test_items_are_no_boolean_schema(items: bool, published: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": items}}}
    assert portable_input(schema)["properties"]["a"] == {"type": "array", "items": published}
