"""The filter language: what it accepts, what it refuses, and how it says so."""

import pytest

from tfo_mcp.analysis.filters import InvalidFilter, fields_of, parse_filter, severity_at_least
from tfo_mcp.application.ports.telemetry_query import (
    AllOf,
    AnyOf,
    Comparison,
    FieldName,
    Negation,
    Presence,
)


def compared(name: str, operator: str, value: object) -> Comparison:
    return Comparison(FieldName(name), operator, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        ('service.name = "cart"', compared("service.name", "=", "cart")),
        ("service.name = cart", compared("service.name", "=", "cart")),
        ("service = 'it''", None),
        ("service = 'cart'", compared("service.name", "=", "cart")),
        ('db.statement = "say \\"x\\"\\n"', compared("db.statement", "=", 'say "x"\n')),
        ("http.response.status_code >= 500", compared("http.response.status_code", ">=", 500.0)),
        ("duration > 500ms", compared("duration", ">", 500e6)),
        ("duration <= 1.5s", compared("duration", "<=", 1.5e9)),
        ("app.batch < -2", compared("app.batch", "<", -2.0)),
        ("app.cold = true", compared("app.cold", "=", True)),
        ('app.cold = "true"', compared("app.cold", "=", "true")),
        ("service.version = 1.5.0", compared("service.version", "=", "1.5.0")),
        ('body ~ "time ?out"', compared("body", "~", "time ?out")),
        ('body =~ "time("', compared("body", "~", "time\\(")),
        ("name == x", compared("name", "=", "x")),
        ("status != ok", Negation(compared("status", "=", "ok"))),
        ('body !~ "a"', Negation(compared("body", "~", "a"))),
        ("enduser.id exists", Presence(FieldName("enduser.id"))),
        ("resource.host.name = a", Comparison(FieldName("host.name", "resource"), "=", "a")),
        ("attributes.name = a", Comparison(FieldName("name", "attribute"), "=", "a")),
        ("`my key` = a", compared("my key", "=", "a")),
        ("a in (1, 'b')", AnyOf((compared("a", "=", 1.0), compared("a", "=", "b")))),
        ("a not in (1)", Negation(AnyOf((compared("a", "=", 1.0),)))),
        (
            "severity = error",
            AllOf((compared("severity", ">=", 17.0), compared("severity", "<", 21.0))),
        ),
        ("severity > warning", compared("severity", ">", 16.0)),
        ("level >= 13", compared("severity", ">=", 13.0)),
    ],
)
def test_a_condition_becomes_a_typed_comparison(text: str, predicate: object) -> None:
    if predicate is None:
        with pytest.raises(InvalidFilter, match="a quote is not closed"):
            parse_filter(text)
    else:
        assert parse_filter(text) == predicate


def test_and_binds_more_tightly_than_or_and_parentheses_bind_most() -> None:
    a, b, c = (compared(name, "=", 1.0) for name in "abc")
    assert parse_filter("a = 1 or b = 1 and c = 1") == AnyOf((a, AllOf((b, c))))
    assert parse_filter("(a = 1 || b = 1) && !(c = 1)") == AllOf((AnyOf((a, b)), Negation(c)))
    assert parse_filter("NOT a = 1 AND b = 1") == AllOf((Negation(a), b))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1: expected the name of a field"),
        ("a", "expected an operator after a: = !="),
        ("a = ", "character 5: expected a value after a =, but the filter ends"),
        ("a = 1 b = 2", 'character 7: expected `and`, `or` or the end, but there is "b"'),
        ("(a = 1", r"expected `\)`"),
        ("a in 1", r"expected `\(` after `in`"),
        ("a in (1 2)", r"expected `,` or `\)`"),
        ("duration > 500", "needs a number with a unit, such as 500ms"),
        ("severity = loud", 'Unknown severity "loud": use trace, debug, info, warn, error, fatal'),
        ("a = 1; drop table x", 'unexpected ";"'),
        ("(" * 40 + "a = 1" + ")" * 40, "nested deeper than 30"),
        ("not " * 40 + "a = 1", "nested deeper than 30"),
        ("a = 1 or " * 300 + "a = 1", "more than 200 comparisons"),
        ("a" * 5000, "5000 characters; the maximum is 4000"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        parse_filter(text)


def test_fields_of_a_row_filter_can_be_those_of_the_resource_by_default() -> None:
    predicate = parse_filter("tenant = a or not (attributes.b exists)", default_place="resource")
    assert set(fields_of(predicate)) == {FieldName("tenant", "resource"), FieldName("b", "attribute")}


def test_a_severity_means_itself_and_everything_above() -> None:
    assert severity_at_least("warn") == compared("severity", ">=", 13.0)
