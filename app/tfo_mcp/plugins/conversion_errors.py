"""Translates pydantic's errors about arguments into problems in words.

The JSON Schema of the arguments says what was expected; pydantic's own message is used where the schema cannot, such
as for the validators of a plugin. Knows no tool, resource or prompt.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tfo_mcp.domain.text import described, json_of, shortened
from tfo_mcp.plugins.problems import Problem, expectation, is_described, mismatch, missing, pattern_words, unknown
from tfo_mcp.plugins.subschemas import located, target_of

_MESSAGE_LIMIT = 300
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_LENGTHS: Mapping[str, tuple[str, str]] = {
    "string_too_long": ("at most", "max_length"),
    "string_too_short": ("at least", "min_length"),
}
_OWN_MESSAGES = frozenset({"assertion_error", "value_error"})


def conversion_problems(error: ValidationError, schema: Mapping[str, Any]) -> list[Problem]:
    """Return the problems behind an error about arguments that `schema` describes."""
    return [problem for one in error.errors(include_url=False) for problem in _problems(one, schema)]


def _problems(error: Any, root: Mapping[str, Any]) -> list[Problem]:
    path, schema = _place(error["loc"], root)
    kind = error["type"]
    if kind == "missing":
        return [missing(path, schema, root)]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = schema.get("properties", ()) if isinstance(schema, Mapping) else ()
        return unknown(path, [str(error["loc"][-1])], known)
    return [_of_value(path, error, schema, root)]


def _of_value(path: tuple[str | int, ...], error: Any, schema: Any, root: Mapping[str, Any]) -> Problem:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return Problem(path, f"expected {words} {json_of(context.get(limit))}, got {json_of(value)}")
    if kind in _LENGTHS:
        words, limit = _LENGTHS[kind]
        return mismatch(path, f"a string of {words} {_characters(context.get(limit))}", value)
    if kind == "string_pattern_mismatch":
        return mismatch(path, pattern_words(str(context.get("pattern"))), value)
    is_optional = len(path) == 1 and path[0] not in root.get("required", ())
    expected = expectation(schema, root, optional=is_optional)
    if kind in _OWN_MESSAGES or expected is None or is_described(value, schema, root):
        message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return Problem(path, f"{shortened(message, _MESSAGE_LIMIT)}, got {described(value)}")
    return mismatch(path, expected, value)


def _place(location: tuple[str | int, ...], root: Mapping[str, Any]) -> tuple[tuple[str | int, ...], Any]:
    """Return the path in the value, and its schema.

    pydantic puts names of alternatives between the steps of a path; they are left out.
    """
    path: list[str | int] = []
    schema: Any = root
    for step in location:
        inner = _inner(schema, step, root)
        if inner is not None:
            path.append(step)
            schema = _resolved(inner, root)
    return tuple(path), schema


def _inner(schema: Any, step: str | int, root: Mapping[str, Any]) -> Any:
    """Return the schema of a property or an element; None if the schema has none by this name."""
    if not isinstance(schema, Mapping):
        return None
    if isinstance(step, int):
        prefix = schema.get("prefixItems")
        own = prefix[step] if isinstance(prefix, list) and step < len(prefix) else schema.get("items")
    else:
        own = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    if isinstance(own, Mapping):
        return own
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    found = (_inner(_resolved(alternative, root), step, root) for alternative in alternatives)
    return next((one for one in found if one is not None), None)


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    if isinstance(schema, Mapping) and (target := target_of(schema.get("$ref"), {})) is not None:
        return located(root, target)
    return schema


def _characters(count: Any) -> str:
    return "1 character" if count == 1 else f"{count} characters"
