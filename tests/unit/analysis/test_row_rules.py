"""Row rules: whose records a caller may read."""

import pytest

from tfo_mcp.analysis.row_rules import InvalidRule, RowRules
from tfo_mcp.application.ports.telemetry_query import AllOf, AnyOf, Comparison, FieldName, Negation, Predicate
from tfo_mcp.domain.access import OWNER, READING, Caller

RULES = RowRules(
    [
        "key:abc: tenant.id = acme and not region = eu",
        "key:abc: team = shop",
        'claim:organization: tenant.id = $claim and stage != "$claim"',
        "token:alice: team exists",
        "*: public = true",
    ]
)


def caller(name: str, **claims: str) -> Caller:
    return Caller(name, READING, "token", claims=claims)


def resource(name: str, value: str | bool) -> Comparison:
    return Comparison(FieldName(name, "resource"), "=", value)


def test_a_caller_reads_what_any_of_its_rules_allows() -> None:
    assert RULES.rows_of(caller("key:abc")) == AnyOf(
        (AllOf((resource("tenant.id", "acme"), Negation(resource("region", "eu")))), resource("team", "shop"))
    )


@pytest.mark.parametrize("value", ["acme", '" or "" = "', "$claim", "a' OR 1=1 --"])
def test_the_value_of_a_claim_stays_a_value(value: str) -> None:
    rows = RULES.rows_of(caller("token:bob", organization=value))
    assert rows == AnyOf((AllOf((resource("tenant.id", value), Negation(resource("stage", value)))),))


def test_others_have_the_last_rule_or_nothing_and_the_owner_everything() -> None:
    assert RULES.rows_of(caller("token:bob")) == AnyOf((resource("public", True),))
    assert RULES.rows_of(OWNER) is None
    assert RowRules(["key:abc: a = b"]).rows_of(caller("anonymous")) == AnyOf(())
    assert RowRules([]).rows_of(caller("anonymous")) is None


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "is not `CALLER: FILTER`"),
        ("abc: a = b", "CALLER is key:ID, token:SUBJECT"),
        ("key:: a = b", "is not `CALLER: FILTER`"),
        ("key:abc: a =", "key:abc: Invalid filter at character 4"),
        ("key:abc: attributes.tenant = a", "can only use attributes of the resource"),
        ("key:abc: tenant = $claim", r"\$claim stands for the value of claim:NAME"),
        ("claim:org: tenant ~ $claim", "needs the operator ="),
    ],
)
def test_a_rule_that_could_mislead_is_refused(rule: str, message: str) -> None:
    with pytest.raises(InvalidRule, match=message):
        RowRules([rule])


def test_a_predicate_of_a_rule_is_typed() -> None:
    rows: Predicate | None = RowRules(["*: service.name in (a, b)"]).rows_of(caller("x"))
    assert rows == AnyOf((AnyOf((resource("service.name", "a"), resource("service.name", "b"))),))
