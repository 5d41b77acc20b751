"""Row rules: which records a caller may read, by the setting `telemetry.access`.

A rule is `CALLER: FILTER`. CALLER is `key:ID` or `token:SUBJECT` (the caller's name), `claim:NAME` (tokens with this
claim; `$claim` in the filter is its value), `anonymous`, or `*` for callers that no other rule names. Fields of the
filter are those of the resource, which an operator controls by who may send; other attributes are a program's own.
Without rules everybody reads everything; with rules, a caller without one reads nothing. The owner of the process reads
everything. Knows no store and no setting.
"""

from collections.abc import Callable, Iterable, Sequence

from tfo_mcp.analysis.filters import InvalidFilter, fields_of, parse_filter
from tfo_mcp.application.ports.telemetry_query import AllOf, AnyOf, Comparison, Negation, Predicate
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.text import json_of
from tfo_mcp.value_objects import value_object

_CLAIM = "$claim"
_CLAIMS, _NAMES, _OTHERS = "claim:", ("key:", "token:"), "*"
_CALLERS = "key:ID, token:SUBJECT, claim:NAME, anonymous or *"
_NOTHING = AnyOf(())


class InvalidRule(ValueError):
    """A rule that is not `CALLER: FILTER`; the message says what is wrong."""


@value_object
class _Rule:
    caller: str
    rows: Predicate


class RowRules:
    """The rules of one server.

    Raises:
        InvalidRule: a rule cannot be used.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._rules = [_parsed(text) for text in texts]

    def rows_of(self, caller: Caller) -> Predicate | None:
        """Return the condition of the records that a caller may read, None for all records."""
        if not self._rules or caller.method == "owner":
            return None
        found = [rows for rule in self._rules if (rows := _rows(rule, caller)) is not None]
        found = found or [rule.rows for rule in self._rules if rule.caller == _OTHERS]
        return AnyOf(tuple(found)) if found else _NOTHING


def _rows(rule: _Rule, caller: Caller) -> Predicate | None:
    if not rule.caller.startswith(_CLAIMS):
        return rule.rows if rule.caller == caller.name else None
    value = caller.claims.get(rule.caller.removeprefix(_CLAIMS))
    return None if value is None else _with_claim(rule.rows, value)


def _with_claim(predicate: Predicate, value: str) -> Predicate:
    """Return the predicate with the value of the claim; it stays a value, whatever it contains."""
    match predicate:
        case Comparison():
            return Comparison(predicate.field, predicate.operator, value) if predicate.value == _CLAIM else predicate
        case Negation():
            return Negation(_with_claim(predicate.operand, value))
        case AllOf():
            return AllOf(_with_claims(predicate.operands, value))
        case AnyOf():
            return AnyOf(_with_claims(predicate.operands, value))
        case _:
            return predicate


def _with_claims(operands: Sequence[Predicate], value: str) -> tuple[Predicate, ...]:
    return tuple(_with_claim(operand, value) for operand in operands)


def _parsed(text: str) -> _Rule:
    caller, separator, condition = text.partition(": ")
    if not separator or not _is_caller(caller):
        raise InvalidRule(f"{json_of(text)} is not `CALLER: FILTER`, where CALLER is {_CALLERS}")
    try:
        rows = parse_filter(condition, default_place="resource")
    except InvalidFilter as problem:
        raise InvalidRule(f"{caller}: {problem}") from None
    if any(field.place != "resource" for field in fields_of(rows)):
        raise InvalidRule(f"{caller}: a filter of rows can only use attributes of the resource")
    if _compares(rows, lambda one: one.value == _CLAIM and (one.operator != "=" or not caller.startswith(_CLAIMS))):
        raise InvalidRule(f"{caller}: {_CLAIM} stands for the value of claim:NAME, and needs the operator =")
    return _Rule(caller, rows)


def _is_caller(text: str) -> bool:
    return text in ("anonymous", _OTHERS) or any(
        text.startswith(prefix) and text != prefix for prefix in (*_NAMES, _CLAIMS)
    )


def _compares(predicate: Predicate, wanted: Callable[[Comparison], bool]) -> bool:
    match predicate:
        case Comparison():
            return wanted(predicate)
        case Negation():
            return _compares(predicate.operand, wanted)
        case AllOf() | AnyOf():
            return any(_compares(operand, wanted) for operand in predicate.operands)
        case _:
            return False
