"""What is wrong with a value, in words for the client that sent it: where, what was expected, and what came.

Knows JSON Schemas as descriptions of values. Must not know the libraries that validate: `schema_errors` and
`conversion_errors` translate their errors.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfo_mcp.domain.text import close_name, described, json_of, sanitized, shortened
from tfo_mcp.plugins.subschemas import located, target_of
from tfo_mcp.value_objects import value_object

MOST_PROBLEMS = 10
"""Maximum number of problems that are reported for one value."""
_MAX_CHOICES = 20
_MAX_NAMES = 30
_WORDS = 200  # maximum characters of a pattern
_MAX_LEVELS = 4
_NAME = re.compile(r"\w+", re.ASCII)
_SINGULAR: Mapping[str, str] = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_FORMATS: Mapping[str, str] = {
    "date": "a date, such as 2030-01-31",
    "date-time": "a date and time, such as 2030-01-31T12:00:00Z",
    "duration": "a duration, such as PT1H30M",
    "email": "an email address",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "time": "a time, such as 12:00:00",
    "uri": "a URI",
    "uuid": "a UUID",
}

_JSON_TYPES = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list | tuple, "array"),
    (type(None), "null"),
)

Path = Sequence[str | int]


@value_object
class Problem:
    """One problem of a value. `path` leads to the part of the value; `text` says what is wrong with it."""

    path: tuple[str | int, ...]
    text: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.text}" if self.path else self.text


def listed(problems: Iterable[Problem]) -> str:
    """Return the problems as one text, without repetitions and at most `MOST_PROBLEMS`."""
    distinct = list(dict.fromkeys(map(str, problems)))
    more = len(distinct) - MOST_PROBLEMS
    return "; ".join(distinct[:MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def path_text(path: Path) -> str:
    """Return a path in the usual notation, such as `edits[0].old_text`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step) or not text:
            text += f".{sanitized(step)}" if text else sanitized(step)
        else:
            text += f"[{json_of(step)}]"
    return text


def mismatch(path: Path, expected: str, value: object) -> Problem:
    """Return the problem that a value is not what was expected."""
    return Problem(tuple(path), f"expected {expected}, got {described(value)}")


def missing(path: Path, schema: Any, root: Mapping[str, Any]) -> Problem:
    """Return the problem that a required value is missing; `schema` describes it."""
    expected = expectation(schema, root)
    return Problem(tuple(path), f"required, but missing; expected {expected}" if expected else "required, but missing")


def unknown(path: Path, names: Iterable[str], known: Iterable[str]) -> list[Problem]:
    """Return the problem of each unknown name in the object at `path`; the first one lists the known names."""
    allowed = list(known)
    what = "property" if path else "argument"
    problems: list[Problem] = []
    for name in names:
        close = close_name(name, allowed) if len(problems) < _MAX_NAMES else None
        text = f"unknown {what}; did you mean {sanitized(close)}?" if close else f"unknown {what}"
        if not problems:
            text += f" (known: {_joined(allowed, _MAX_NAMES)})" if allowed else " (there are none)"
        problems.append(Problem((*path, shortened(name)), text))
    return problems


def expectation(schema: Any, root: Mapping[str, Any], *, optional: bool = False) -> str | None:
    """Return what a schema expects in words, such as `an integer or null`; None if it expects nothing special.

    Args:
        schema: the schema; its references lead into `root`.
        root: the whole schema.
        optional: leaves out null, since the value need not be given.
    """
    words = [word for word in _alternatives(schema, root, _MAX_LEVELS) if word != "null" or not optional]
    if not words:
        return None
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def is_described(value: object, schema: Any, root: Mapping[str, Any]) -> bool:
    """Return whether the words of `expectation` apply to the value, so that they cannot explain what is wrong."""
    own = singular(json_type(value))
    words = _alternatives(schema, root, _MAX_LEVELS)
    return any(word == own or (own == "an array" and word.startswith(own)) for word in words) or (
        own == "an integer" and "a number" in words
    )


def choice(values: Sequence[Any]) -> str:
    """Return in words that one of some values is expected."""
    return json_of(values[0]) if len(values) == 1 else f"one of {_joined(map(json_of, values), _MAX_CHOICES)}"


def fixed_values(schema: Any) -> list[Any]:
    """Return the values of `const` or `enum`, none for other schemas."""
    if not isinstance(schema, Mapping):
        return []
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return values if isinstance(values, list) else []


def singular(kind: str) -> str:
    """Return a JSON type with its article."""
    return _SINGULAR.get(kind, kind)


def json_type(value: object) -> str:
    """Return the JSON type of a value."""
    return next((kind for python_type, kind in _JSON_TYPES if isinstance(value, python_type)), "object")


def pattern_words(pattern: str) -> str:
    """Return in words that a string is expected that matches a pattern."""
    return f"a string that matches the pattern {sanitized(pattern, _WORDS)}"


def format_words(name: str) -> str:
    """Return in words that a string of a format is expected."""
    return _FORMATS.get(name, f"a string in the format {sanitized(name)}")


def _alternatives(schema: Any, root: Mapping[str, Any], levels: int) -> list[str]:
    if not isinstance(schema, Mapping) or levels == 0:
        return []
    if (target := target_of(schema.get("$ref"), {})) is not None:
        return _alternatives(located(root, target), root, levels - 1)
    union = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(union, list):
        each = [_alternatives(alternative, root, levels - 1) for alternative in union]
        return [word for words in each for word in words] if all(each) else []
    if values := fixed_values(schema):
        return [choice(values)]
    kinds = schema.get("type")
    if kinds is None and isinstance(schema.get("allOf"), list):
        return next(filter(None, (_alternatives(one, root, levels - 1) for one in schema["allOf"])), [])
    return [_of_type(kind, schema, root, levels) for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind]


def _of_type(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any], levels: int) -> str:
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if kind == "array" and "prefixItems" not in schema:
        elements = _alternatives(schema.get("items"), root, levels - 1)
        if len(elements) == 1 and (plural := _plural(elements[0])):
            return f"an array of {plural}"
    return singular(kind)


def _plural(word: str) -> str | None:
    noun = word.partition(" ")[2]
    return f"{noun}s" if word in _SINGULAR.values() and noun else None


def _joined(words: Iterable[str], most: int) -> str:
    every = [sanitized(word) for word in words]
    return ", ".join(every[:most]) + (", …" if len(every) > most else "")
