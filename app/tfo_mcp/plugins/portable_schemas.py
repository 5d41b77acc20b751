"""Rewrites JSON Schemas into equivalent ones that widely used clients accept.

Known restrictions: VS Code refuses arrays without `items`, the Gemini API boolean schemas. The TypeScript SDK up to
1.22 refuses properties that are boolean schemas, and keeps only `type`, `properties`, `required` and a boolean
`additionalProperties` of the root of an output schema; references to what it dropped make it refuse the whole list of
tools. Form builders need a `type`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tfo_mcp.plugins.problems import fixed_values, json_type
from tfo_mcp.plugins.references import inlined
from tfo_mcp.plugins.subschemas import DEFINITIONS, descendants, mapped, reference_to


def portable_input(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input schema of a tool in the form that arguments are validated with."""
    portable = _portable_everywhere(schema)
    if portable.get("type") == "object":
        portable.setdefault("properties", {})
    return portable


def portable_output(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output schema of a tool in the form that results are validated with."""
    return _portable_everywhere(schema)


def listed_input(portable: Mapping[str, Any]) -> dict[str, Any]:
    """Return a portable input schema as it is listed, with less for each model to read.

    Optional properties do not list null, their default value: it means the same as absence.
    """
    required = portable.get("required", ())
    properties = portable.get("properties")
    if not isinstance(properties, Mapping):
        return dict(portable)
    return {
        **portable,
        "properties": {name: child if name in required else _without_null(child) for name, child in properties.items()},
    }


def listed_output(portable: Mapping[str, Any]) -> dict[str, Any]:
    """Return a portable output schema as it is listed, without a schema of additional properties at its root.

    It accepts whatever the portable one accepts.
    """
    return _with_definitions_in_a_property(_without_typed_additions(portable))


def _without_typed_additions(schema: Mapping[str, Any]) -> dict[str, Any]:
    is_referred_to = _refers_to([schema], "#/additionalProperties")
    if not isinstance(schema.get("additionalProperties"), Mapping) or is_referred_to:
        return dict(schema)
    return {keyword: value for keyword, value in schema.items() if keyword != "additionalProperties"}


def _without_null(schema: Any) -> Any:
    if not isinstance(schema, Mapping) or schema.get("default", ...) is not None or "anyOf" not in schema:
        return schema
    others = [one for one in schema["anyOf"] if one != {"type": "null"}]
    rest = {keyword: value for keyword, value in schema.items() if keyword not in ("anyOf", "default")}
    return {**others[0], **rest} if len(others) == 1 else {**rest, "anyOf": others}


def _portable_everywhere(schema: Mapping[str, Any]) -> dict[str, Any]:
    portable: dict[str, Any] = _portable(inlined(schema))
    if any("unevaluatedItems" in part for part in descendants(portable)):
        return portable  # `items` would count as an evaluation
    completed: dict[str, Any] = _with_items(portable)
    return completed


def _portable(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    portable = mapped(schema, _portable)
    properties = portable.get("properties")
    if isinstance(properties, Mapping):
        portable["properties"] = {name: _without_boolean(child) for name, child in properties.items()}
    if "items" in portable:
        portable["items"] = _without_boolean(_with_one_type(portable["items"]))
    if "type" not in portable and (kind := _type_of_values(portable)) is not None:
        portable["type"] = kind
    return portable


def _with_one_type(schema: Any) -> Any:
    """Return the schema of items that may have several types as alternatives, each of one type."""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("type"), list) or "anyOf" in schema:
        return schema
    rest = {keyword: value for keyword, value in schema.items() if keyword != "type"}
    kinds = schema["type"]
    return {**rest, "type": kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": [{"type": kind} for kind in kinds]}


def _with_items(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    completed = mapped(schema, _with_items)
    kinds = completed.get("type")
    if "items" not in completed and (kinds == "array" or (isinstance(kinds, list) and "array" in kinds)):
        completed["items"] = _items_after(completed)
    return completed


def _without_boolean(schema: Any) -> Any:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return schema


def _type_of_values(schema: Mapping[str, Any]) -> str | None:
    """Return the type of all values of `const` or `enum`, None if they differ."""
    kinds = {json_type(value) for value in fixed_values(schema)}
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else None


def _items_after(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `items` for an array without them.

    They apply to the elements after `prefixItems`. If there can be none, they describe the elements of the prefix,
    for clients that know only `items`.
    """
    prefix, most = schema.get("prefixItems"), schema.get("maxItems", math.inf)
    if not isinstance(prefix, list) or not prefix or not isinstance(most, int) or most > len(prefix):
        return {}
    distinct: list[Any] = []
    for one in prefix:
        if one not in distinct:
            distinct.append(one)
    return _without_boolean(distinct[0]) if len(distinct) == 1 else {"anyOf": distinct}


def _with_definitions_in_a_property(schema: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions that properties refer to from the root into the first property."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return schema
    name = next(iter(properties))
    for keyword in DEFINITIONS:
        old, new = f"{reference_to((keyword,))}/", f"{reference_to(('properties', name, keyword))}/"
        if keyword not in schema or keyword in properties[name] or not _refers_to(properties.values(), old):
            continue
        moved = _redirected(schema, old, new)
        definitions = moved.pop(keyword)
        schema = {**moved, "properties": {**moved["properties"]}}
        schema["properties"][name] = {**schema["properties"][name], keyword: definitions}
    return schema


def _refers_to(schemas: Iterable[Any], beginning: str) -> bool:
    """Return whether a reference in one of the schemas begins in this way."""
    parts = (part for schema in schemas for part in descendants(schema))
    return any(isinstance(part.get("$ref"), str) and part["$ref"].startswith(beginning) for part in parts)


def _redirected(schema: Any, old: str, new: str) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    moved = mapped(schema, lambda child: _redirected(child, old, new))
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith(old):
        moved["$ref"] = new + reference.removeprefix(old)
    return moved
