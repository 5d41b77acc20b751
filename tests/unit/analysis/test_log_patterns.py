"""Patterns of log messages: what joins, what stays apart, and what is said about a pattern."""

from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.telemetry_records import START
from tfo_mcp.analysis.log_patterns import LogPattern, patterns_of
from tfo_mcp.analysis.masks import masked
from tfo_mcp.application.ports.telemetry_store import LogShape


def shape(
    body: str, counts: Iterable[int] = (1,), service: str = "cart", severity: int = 9, trace: str = ""
) -> LogShape:
    return LogShape(service, severity, body, START, START + 1, list(counts), [trace] if trace else [])


def templates(*bodies: str) -> dict[str, int]:
    return {pattern.template: pattern.count for pattern in patterns_of(map(shape, bodies))}


def only(shapes: Iterable[LogShape]) -> LogPattern:
    (pattern,) = patterns_of(shapes)
    return pattern


def test_variable_parts_of_a_message_are_masked() -> None:
    message = (
        "2025-11-29T10:00:00.123Z order 4711 of 9f86d081-884c-4d63-a160-3f2504e04f89 at 10.0.0.7:5432 took 12.5ms, "
        '"a b" 0xdeadbeef 4bf92f3577b34da6a3ce929d0e0e4736 worker12 -3 café facade'
    )
    assert masked(message) == ("<*> order <*> of <*> at <*>:<*> took <*>ms, <*> <*> <*> worker<*> <*> café facade")


def test_messages_of_one_statement_join_and_others_stay_apart() -> None:
    assert templates(
        "Reserved 3 items for alice in 12 ms",
        "Reserved 1 items for bob in 7 ms",
        "Reserved 9 items for carol in 700 ms",
        "Released all items for dave in 7 ms",
        "Connection to 10.0.0.1 refused",
        "Connection to 10.0.0.2 closed",
    ) == {
        "Reserved <*> items for <*> in <*> ms": 3,
        "Released all items for dave in <*> ms": 1,
        "Connection to <*> <*>": 2,
    }


def test_short_messages_that_share_a_word_are_not_one() -> None:
    assert len(templates("started", "stopped", "cache hit", "order paid")) == 4


def test_lists_of_any_length_are_one_pattern() -> None:
    assert templates("ids [1, 2, 3]", "ids [7]", "ids [1, 2, 3, 4, 5]") == {"ids [<*>]": 3}


def test_only_the_first_line_counts_and_a_message_may_be_empty() -> None:
    assert templates("boom\n  at a.b.C", "boom\n  at d.e.F", "", "\n\n") == {"boom": 2, "": 2}


def test_a_pattern_sums_up_its_records() -> None:
    pattern = only(
        [
            shape("user 1 failed", (2, 0, 1), trace="a"),
            shape("user 22 failed", (1, 1, 1), "orders", 17, trace="b"),
        ]
    )
    assert (pattern.count, pattern.counts, pattern.severity) == (6, [3, 1, 2], 17)
    assert pattern.services == {"cart": 3, "orders": 3}
    assert pattern.trace_ids == ["a", "b"]
    assert pattern.example == "user 1 failed"


def test_trends_are_words() -> None:
    trends = {
        counts: only([shape("x", counts)]).trend()
        for counts in ((4, 5, 4, 5), (0, 0, 9, 1), (1, 2, 5, 7), (9, 8, 2, 1), (1, 0, 0, 0))
    }
    assert list(trends.values()) == ["steady", "burst 3", "rising", "falling", "steady"]


def test_variable_parts_with_few_values_are_telling() -> None:
    patterns = patterns_of([shape("GET /a status 500 in 17 ms")])
    (pattern,) = patterns
    for number in range(30):
        message = f"GET /a status {503 if number % 3 else 200} in {number} ms"
        assert patterns.match(message) is pattern
        pattern.observe(message)
    assert pattern.telling_values() == [(1, [("503", 20 / 30), ("200", 10 / 30)])]
    assert patterns.match("something else entirely") is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no time is asserted
@given(st.lists(st.text(max_size=60), max_size=30))
def test_no_record_is_lost_whatever_messages_contain(bodies: list[str]) -> None:
    patterns = patterns_of(map(shape, bodies))
    assert sum(pattern.count for pattern in patterns) == len(bodies)
    for body in bodies:
        if (pattern := patterns.match(body)) is not None:
            pattern.observe(body)


def test_hostile_messages_end_as_fast_as_others() -> None:
    hostile = [
        "<*>" * 3000,
        "a" * 100_000,
        "'" * 5000,
        '"' * 5000,
        "1." * 5000,
        "deadbee " * 5000,
        "= " * 5000,
        "\\" * 9000,
    ]
    patterns = patterns_of(shape(f"{body}{number}") for body in hostile for number in range(20))
    assert sum(pattern.count for pattern in patterns) == 160
