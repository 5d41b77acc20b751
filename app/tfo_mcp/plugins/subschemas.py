"""The structure of JSON Schemas: which keywords hold subschemas, and references within one document.

Values of `const`, `enum`, `default` and `examples`, and properties that are named like a keyword, are no subschemas.
Knows no tool and no pydantic.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

Pointer = tuple[str, ...]
"""The tokens of a JSON Pointer (RFC 6901)."""

DEFINITIONS = ("$defs", "definitions")
"""The keywords that hold definitions; the second is that of the drafts up to 7."""

_ONE = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_BY_NAME = frozenset({*DEFINITIONS, "dependencies", "dependentSchemas", "patternProperties", "properties"})


def mapped(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the schema with each direct subschema replaced by `change` of it."""
    return {keyword: _changed(keyword, value, change) for keyword, value in schema.items()}


def _changed(keyword: str, value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping) and keyword in _BY_NAME:
        return {name: change(child) if _is_schema(child) else child for name, child in value.items()}
    if isinstance(value, list) and keyword in _LIST:
        return [change(child) if _is_schema(child) else child for child in value]
    return change(value) if keyword in _ONE and _is_schema(value) else value


def descendants(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the schema and its subschemas at every level, without boolean schemas."""
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            yield one
            mapped(one, waiting.append)


def located(schema: Mapping[str, Any], pointer: Pointer) -> Any:
    """Return the value at a pointer, None if there is none."""
    value: Any = schema
    for token in pointer:
        if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        elif isinstance(value, Mapping) and token in value:
            value = value[token]
        else:
            return None
    return value


def target_of(reference: Any, anchors: Mapping[str, Pointer]) -> Pointer | None:
    """Return the pointer that a `$ref` means; None if it leads out of the document or to an unknown anchor."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    fragment = unquote(reference[1:])
    if not fragment:
        return ()
    if not fragment.startswith("/"):
        return anchors.get(fragment)
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in fragment[1:].split("/"))


def reference_to(pointer: Pointer) -> str:
    """Return the `$ref` for a pointer."""
    return "#" + "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in pointer)


def _is_schema(value: Any) -> bool:
    return isinstance(value, Mapping | bool)
