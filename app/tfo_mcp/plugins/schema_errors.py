"""Translates the errors of jsonschema-rs into problems in words.

Of the alternatives of a union, the one that the value comes closest to is explained. Knows the schema that the errors
come from, no tool.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jsonschema_rs import ValidationError

from tfo_mcp.domain.text import json_of, shortened
from tfo_mcp.plugins.problems import (
    Path,
    Problem,
    choice,
    expectation,
    fixed_values,
    format_words,
    mismatch,
    missing,
    pattern_words,
    singular,
    unknown,
)
from tfo_mcp.plugins.subschemas import located

_MESSAGE_LIMIT = 300  # characters of the library's own message
_BOUNDS: Mapping[str, str] = {
    "exclusiveMaximum": "less than",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "minimum": "at least",
    "multipleOf": "a multiple of",
}
_COUNTS: Mapping[str, tuple[str, str]] = {
    "maxItems": ("an array of at most", "item"),
    "maxLength": ("a string of at most", "character"),
    "maxProperties": ("an object of at most", "property"),
    "minItems": ("an array of at least", "item"),
    "minLength": ("a string of at least", "character"),
    "minProperties": ("an object of at least", "property"),
}
_EXPECTED: Mapping[str, Callable[[Any], str]] = {
    "const": lambda kind: json_of(kind.expected_value),
    "enum": lambda kind: choice(kind.options),
    "format": lambda kind: format_words(kind.format),
    "pattern": lambda kind: pattern_words(kind.pattern),
    "uniqueItems": lambda kind: "an array of different items",
}


def problems_of(errors: Iterable[ValidationError], schema: Mapping[str, Any]) -> list[Problem]:
    """Return the problems behind the errors of a validation against `schema`."""
    return [problem for error in errors for problem in _problems(error, schema)]


def _problems(error: ValidationError, root: Mapping[str, Any]) -> list[Problem]:
    path, kind = tuple(error.instance_path), _kind(error)
    parent = _at(root, error.schema_path[:-1])
    match kind.name:
        case "anyOf" | "oneOf":
            return _of_union(error, path, root)
        case "required":
            name = kind.property
            return [missing((*path, name), _at(parent, ("properties", name)), root)]
        case "additionalProperties" | "unevaluatedProperties":
            known = _at(parent, ("properties",))
            return unknown(path, kind.unexpected, known if isinstance(known, Mapping) else ())
        case "propertyNames":
            inner = problems_of([kind.error], root)
            return [Problem((*path, json_of(kind.error.instance)), f"as a name: {one.text}") for one in inner]
        case "falseSchema" | "not" if kind.name == "falseSchema" or not kind.schema:
            return [Problem(path, "must not be given")]
    return [_of_value(error, path, parent, root)]


def _kind(error: ValidationError) -> Any:
    """Return the kind of an error; its attributes depend on the keyword, which its type does not show."""
    return error.kind


def _of_value(error: ValidationError, path: tuple[str | int, ...], parent: Any, root: Mapping[str, Any]) -> Problem:
    """Return the problem of a single value that violates a single keyword."""
    kind, value = _kind(error), error.instance
    name = kind.name
    if name == "type":
        words = expectation(parent, root, optional=_is_optional(error.schema_path[:-1], root))
        return mismatch(path, words or " or ".join(map(singular, kind.types)), value)
    if name in _EXPECTED:
        return mismatch(path, _EXPECTED[name](kind), value)
    if name in _COUNTS:
        beginning, unit = _COUNTS[name]
        return mismatch(path, f"{beginning} {_counted(kind.limit, unit)}", value)
    if name in _BOUNDS:
        limit = kind.multiple_of if name == "multipleOf" else kind.limit
        return Problem(path, f"expected {_BOUNDS[name]} {limit}, got {json_of(value)}")
    return Problem(path, shortened(error.message, _MESSAGE_LIMIT))


def _of_union(error: ValidationError, path: tuple[str | int, ...], root: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of the alternative that the value is closest to, otherwise all alternatives in words."""
    alternatives: Sequence[Sequence[ValidationError]] = _kind(error).context
    if any(not errors for errors in alternatives):
        return [Problem(path, "fits more than one of the alternatives, of which exactly one is allowed")]
    fitting = [errors for errors in alternatives if not any(_is_other_type(one, path) for one in errors)]
    tagged = [errors for errors in fitting if not any(_is_other_tag(one, path) for one in errors)]
    if tagged:
        closest = min(tagged, key=len)
        return _of_missing_tag(tagged, root) or problems_of(closest, root)
    if fitting:
        return _of_tags(fitting, path, root)
    words = expectation(_at(root, error.schema_path[:-1]), root, optional=_is_optional(error.schema_path[:-1], root))
    return [mismatch(path, words or "one of the alternatives", error.instance)]


def _of_missing_tag(alternatives: Sequence[Sequence[ValidationError]], root: Mapping[str, Any]) -> list[Problem]:
    """Return that a property is missing that has a fixed value in each alternative; empty if there is none."""
    values: dict[tuple[str | int, ...], list[Any]] = {}
    for errors in alternatives:
        for error in errors:
            if error.kind.name == "required":
                name = _kind(error).property
                values.setdefault((*error.instance_path, name), []).extend(
                    fixed_values(_at(root, (*error.schema_path[:-1], "properties", name)))
                )
            break
    if len(alternatives) < 2 or len(values) != 1:
        return []
    ((path, choices),) = values.items()
    return [Problem(path, f"required, but missing; expected {choice(choices)}")] if choices else []


def _of_tags(
    alternatives: Sequence[Sequence[ValidationError]], path: tuple[str | int, ...], root: Mapping[str, Any]
) -> list[Problem]:
    """Return that a property with a fixed value in each alternative, such as `kind`, fits none of them."""
    tags = [one for errors in alternatives for one in errors if _is_other_tag(one, path)]
    first = tags[0]
    if any(one.instance_path != first.instance_path for one in tags):
        closest = min(alternatives, key=len)
        return problems_of(closest, root)
    values: list[Any] = []
    for one in tags:
        values += [value for value in _allowed(one) if value not in values]
    return [mismatch(first.instance_path, choice(values), first.instance)]


def _allowed(error: ValidationError) -> list[Any]:
    return [_kind(error).expected_value] if error.kind.name == "const" else list(_kind(error).options)


def _is_other_type(error: ValidationError, path: Path) -> bool:
    return len(error.instance_path) == len(path) and error.kind.name in ("type", "const", "enum", "falseSchema")


def _is_other_tag(error: ValidationError, path: Path) -> bool:
    is_fixed = error.kind.name in ("const", "enum") and any(isinstance(value, str) for value in _allowed(error))
    return is_fixed and len(error.instance_path) == len(path) + 1


def _is_optional(schema_path: Path, root: Mapping[str, Any]) -> bool:
    """Return whether the schema is that of a property that may be left out."""
    if len(schema_path) < 2 or schema_path[-2] != "properties":
        return False
    required = _at(root, (*schema_path[:-2], "required"))
    return not isinstance(required, list) or schema_path[-1] not in required


def _at(schema: Any, path: Path) -> Any:
    return located(schema, tuple(map(str, path))) if isinstance(schema, Mapping) else None


def _counted(count: int, unit: str) -> str:
    if count == 1:
        return f"1 {unit}"
    return f"{count} {unit[:-1]}ies" if unit.endswith("y") else f"{count} {unit}s"
