"""Messages and calls in a fixed ratio: which pairs are found, and how far a period keeps the ratio."""

from tests.unit.analysis.features import series
from tfo_mcp.analysis.ratios import ratios_of

ROUNDS = [2.0, 4.0, 3.0, 6.0, 2.0, 5.0, 3.0, 4.0, 6.0, 2.0, 3.0, 5.0]
"""Rounds of a loop per span, which vary from part to part."""


def kept(asked: float, answered: float, answers: list[float] | None = None) -> list[float]:
    past = [series("log", ROUNDS, subject="asked"), series("log", answers or ROUNDS, subject="answered")]
    now = [series("log", [asked], subject="asked"), series("log", [answered], subject="answered")]
    current, history = ratios_of(now, past)
    assert len(current) == len(history)
    return [each.values[0] for each in current]


def test_a_loop_with_more_rounds_keeps_its_ratio() -> None:
    assert kept(9.0, 9.0) == [1.0]


def test_a_round_that_ends_early_breaks_it() -> None:
    assert kept(6.0, 3.0) == [0.5]
    assert kept(3.0, 6.0) == [0.5]


def test_the_ratio_may_be_any_number() -> None:
    assert kept(3.0, 6.0, [2 * each for each in ROUNDS]) == [1.0]


def test_numbers_that_vary_independently_are_no_pair() -> None:
    assert kept(3.0, 6.0, [*ROUNDS[5:], *ROUNDS[:5]]) == []


def test_some_broken_parts_of_the_history_do_not_hide_a_pair() -> None:
    assert kept(6.0, 3.0, [1.0, 2.0, *ROUNDS[2:]]) == [0.5]


def test_a_steady_number_needs_no_pair() -> None:
    past = [series("log", [1.0] * 12, subject=name) for name in ("asked", "answered")]
    assert ratios_of([], past) == ([], [])


def test_a_message_that_is_gone_breaks_its_ratio() -> None:
    past = [series("log", ROUNDS, subject="asked"), series("log", ROUNDS, subject="answered")]
    (broken,), _ = ratios_of([series("log", [4.0], subject="asked", n=10)], past)
    assert broken.values == [0.0]
    assert broken.counts == [40]


def test_calls_and_messages_are_paired() -> None:
    past = [series("calls", ROUNDS, subject="seats: GET"), series("log", ROUNDS, subject="answered")]
    now = [series("calls", [4.0], subject="seats: GET"), series("log", [2.0], subject="answered")]
    (broken,), _ = ratios_of(now, past)
    assert broken.values == [0.5]
    assert "seats: GET" in broken.subject
