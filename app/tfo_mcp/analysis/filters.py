"""The filter language: parses `service.name = "cart" and duration > 500ms` into a predicate of the telemetry port.

    expression  = conjunction { "or" conjunction }
    conjunction = factor { "and" factor }
    factor      = "not" factor | "(" expression ")" | field "exists" | field operator value | field "in" "(" values ")"
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
    value       = "text" | 'text' | number | duration (500ms, 2s) | true | false | word
    field       = name, `name`, "resource." name, or "attributes." name

`==`, `&&`, `||` and `!` are accepted for models that write them. `duration` needs a unit; `severity` takes a name
(`severity >= warn`) or OpenTelemetry's number. Knows no store.
"""

import re
from collections.abc import Iterator, Mapping

from tfo_mcp.application.ports.telemetry_query import (
    AllOf,
    AnyOf,
    Comparison,
    FieldName,
    Negation,
    Operator,
    Place,
    Predicate,
    Presence,
)
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.text import json_of
from tfo_mcp.value_objects import value_object

_MAX_LENGTH = 4000
_MAX_DEPTH = 30
_MAX_NAME = 256
_MAX_COMPARISONS = 200

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<quoted>`[^`]+`)
    |(?P<number>-?\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h)?(?![\w.:/@-]))
    |(?P<word>\$claim\b|[^\W\d][\w.@/:$-]*|-?\d[\w.:/@-]*)
    |(?P<operator>==|!=|<=|>=|=~|!~|&&|\|\||[=<>~!])
    |(?P<mark>[(),])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_UNITS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_OPERATORS: Mapping[str, tuple[Operator, bool]] = {
    "=": ("=", False),
    "==": ("=", False),
    "!=": ("=", True),
    "<": ("<", False),
    "<=": ("<=", False),
    ">": (">", False),
    ">=": (">=", False),
    "~": ("~", False),
    "=~": ("~", False),
    "!~": ("~", True),
}
"""Each operator as one of the port's, and whether it is negated."""
_SYNONYMS = {"&&": "and", "||": "or", "!": "not"}
_ALIASES = {"service": "service.name", "operation": "name", "span.name": "name", "level": "severity"}
_PLACES: Mapping[str, Place] = {"resource.": "resource", "attributes.": "attribute"}
_RESERVED = frozenset({"and", "or", "not", "in", "exists"})
SEVERITIES: Mapping[str, int] = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
"""The lowest of the four numbers of each severity."""
_SEVERITY_SYNONYMS = {"warning": "warn", "err": "error", "critical": "fatal"}


class InvalidFilter(OperationFailed):
    """A filter that is not in the language; the message says where, and what to write."""


@value_object
class _Token:
    kind: str
    text: str
    position: int


def parse_filter(text: str, *, default_place: Place | None = None) -> Predicate:
    """Return the predicate of a filter.

    Args:
        default_place: place of the fields without a prefix; None lets the store look in all places.

    Raises:
        InvalidFilter: the text is not in the language, or too large.
    """
    if len(text) > _MAX_LENGTH:
        raise InvalidFilter(f"The filter has {len(text)} characters; the maximum is {_MAX_LENGTH}")
    return _Parser(text, default_place).parse()


def parse_field(text: str) -> FieldName:
    """Return the field of a name as a filter would have it, such as `service` or `resource.host.name`.

    Raises:
        InvalidFilter: the name is empty or too long.
    """
    if not text or len(text) > _MAX_NAME:
        raise InvalidFilter(f"A field needs a name of at most {_MAX_NAME} characters")
    return _field_name(text, None)


def severity_at_least(name: str) -> Predicate:
    """Return the predicate for log records of a severity, such as `warn`, or above.

    Raises:
        InvalidFilter: there is no such severity.
    """
    return Comparison(FieldName("severity"), ">=", float(_severity(name)))


def fields_of(predicate: Predicate) -> Iterator[FieldName]:
    """Yield the fields of a predicate, repeatedly if they occur repeatedly."""
    match predicate:
        case Comparison() | Presence():
            yield predicate.field
        case Negation():
            yield from fields_of(predicate.operand)
        case AllOf() | AnyOf():
            for operand in predicate.operands:
                yield from fields_of(operand)


class _Parser:
    """Parses one filter by recursive descent."""

    def __init__(self, text: str, default_place: Place | None) -> None:
        self._text = text
        self._default_place = default_place
        self._tokens = list(_tokens(text))
        self._next = 0
        self._comparisons = 0

    def parse(self) -> Predicate:
        predicate = self._alternatives(0)
        if self._token is not None:
            raise self._problem("expected `and`, `or` or the end")
        return predicate

    @property
    def _token(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _accept(self, *texts: str) -> str | None:
        token = self._token
        if token is None or token.kind in ("text", "quoted"):
            return None
        word = _SYNONYMS.get(token.text, token.text.lower())
        if word not in texts:
            return None
        self._next += 1
        return word

    def _alternatives(self, depth: int) -> Predicate:
        operands = [self._conjunction(depth)]
        while self._accept("or"):
            operands.append(self._conjunction(depth))
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def _conjunction(self, depth: int) -> Predicate:
        operands = [self._factor(depth)]
        while self._accept("and"):
            operands.append(self._factor(depth))
        return operands[0] if len(operands) == 1 else AllOf(tuple(operands))

    def _factor(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise InvalidFilter(f"The filter is nested deeper than {_MAX_DEPTH} levels")
        if self._accept("not"):
            return Negation(self._factor(depth + 1))
        if self._accept("("):
            predicate = self._alternatives(depth + 1)
            if not self._accept(")"):
                raise self._problem("expected `)`")
            return predicate
        return self._condition()

    def _condition(self) -> Predicate:
        self._comparisons += 1
        if self._comparisons > _MAX_COMPARISONS:
            raise InvalidFilter(f"The filter has more than {_MAX_COMPARISONS} comparisons")
        field = self._field()
        if self._accept("exists"):
            return Presence(field)
        negated = self._accept("not") is not None
        if self._accept("in"):
            alternatives = AnyOf(tuple(self._values(field)))
            return Negation(alternatives) if negated else alternatives
        token = self._token
        if negated or token is None or token.text not in _OPERATORS:
            raise self._problem(f"expected an operator after {field.name}: = != < <= > >= ~ !~, in (...), or exists")
        self._next += 1
        operator, is_negated = _OPERATORS[token.text]
        comparison = self._comparison(field, operator)
        return Negation(comparison) if is_negated else comparison

    def _field(self) -> FieldName:
        token = self._token
        if token is None or token.kind not in ("word", "quoted") or token.text.lower() in _RESERVED:
            raise self._problem("expected the name of a field, such as service.name")
        self._next += 1
        if token.kind == "quoted":
            return FieldName(token.text[1:-1], self._default_place)
        return _field_name(token.text, self._default_place)

    def _values(self, field: FieldName) -> Iterator[Predicate]:
        if not self._accept("("):
            raise self._problem("expected `(` after `in`")
        yield self._comparison(field, "=")
        while self._accept(","):
            yield self._comparison(field, "=")
        if not self._accept(")"):
            raise self._problem("expected `,` or `)`")

    def _comparison(self, field: FieldName, operator: Operator) -> Predicate:
        token = self._token
        if token is None or token.kind not in ("text", "number", "word"):
            raise self._problem(f"expected a value after {field.name} {operator}")
        self._next += 1
        if field.name == "severity" and operator != "~":
            return _severity_comparison(operator, _plain(token))
        return Comparison(field, operator, _value(field, operator, token))

    def _problem(self, expected: str) -> InvalidFilter:
        token = self._token
        found = "the filter ends" if token is None else f"there is {json_of(token.text)}"
        position = len(self._text) if token is None else token.position
        return InvalidFilter(f"Invalid filter at character {position + 1}: {expected}, but {found}")


def _field_name(text: str, default_place: Place | None) -> FieldName:
    for prefix, place in _PLACES.items():
        if text.startswith(prefix) and len(text) > len(prefix):
            return FieldName(text.removeprefix(prefix), place)
    return FieldName(_ALIASES.get(text, text), default_place)


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(text, position)
        if found is None:
            hint = "a quote is not closed" if text[position] in "\"'`" else "put values in double quotes"
            raise InvalidFilter(
                f"Invalid filter at character {position + 1}: unexpected {json_of(text[position])}; {hint}"
            )
        yield _Token(found.lastgroup or "", found[0], position)
        position = found.end()


def _plain(token: _Token) -> str:
    if token.kind != "text":
        return token.text
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), token.text[1:-1])


def _value(field: FieldName, operator: Operator, token: _Token) -> str | float | bool:
    text = _plain(token)
    duration = _DURATION.fullmatch(text)
    if field.name == "duration" and field.place is None:
        if duration is None:
            raise InvalidFilter(f"`duration` needs a number with a unit, such as 500ms or 2s, not {json_of(text)}")
        return float(duration[1]) * _UNITS[duration[2]]
    if token.kind == "text" or operator == "~":
        return _pattern(text) if operator == "~" else text
    if token.kind == "number":
        return text if duration is not None else float(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _pattern(text: str) -> str:
    """Return a regular expression; a text that no engine can compile is taken literally."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return re.escape(text)
    return text


def _severity_comparison(operator: Operator, text: str) -> Predicate:
    """Return the comparison with a severity, which is a range of four numbers, or with a number."""
    field = FieldName("severity")
    if text.isdigit():
        return Comparison(field, operator, float(text))
    lowest = _severity(text)
    match operator:
        case "=":
            return AllOf((Comparison(field, ">=", float(lowest)), Comparison(field, "<", float(lowest + 4))))
        case ">" | "<=":
            return Comparison(field, operator, float(lowest + 3))
        case _:
            return Comparison(field, operator, float(lowest))


def _severity(name: str) -> int:
    known = SEVERITIES.get(_SEVERITY_SYNONYMS.get(name.lower(), name.lower()))
    if known is None:
        raise InvalidFilter(f"Unknown severity {json_of(name)}: use {', '.join(SEVERITIES)} or a number from 1 to 24")
    return known
