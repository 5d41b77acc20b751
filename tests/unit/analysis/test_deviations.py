"""How unusual a value is: what counts as a change, and what is within noise."""

import pytest

from tfo_mcp.analysis.deviations import NOISE, FeatureHistory, scarcity
from tfo_mcp.application.ports.telemetry_store import FeatureKind

MS = 1e6


def history(kind: FeatureKind, *values: float, count: int = 50, typical: float = 0.0) -> FeatureHistory:
    parts = dict(enumerate(values, -len(values)))
    return FeatureHistory(kind, parts, dict.fromkeys(parts, count), typical)


@pytest.mark.parametrize(
    ("kind", "usual", "now"),
    [
        ("self_time", 10 * MS, 30 * MS),
        ("between", 1 * MS, 5 * MS),
        ("errors", 0.0, 0.4),
        ("child", 1.0, 0.5),
        ("calls", 8.0, 4.0),
        ("log", 0.0, 1.0),
        ("ratio", 1.0, 0.7),
        ("metric", 4.0, 20.0),
        ("metric", 0.0, 0.5),
        ("level", 4.0, 20.0),
    ],
)
def test_a_clear_change_is_beyond_noise(kind: FeatureKind, usual: float, now: float) -> None:
    assert history(kind, *[usual] * 12).sigmas(now, 50) > NOISE


@pytest.mark.parametrize(
    ("kind", "usual", "now", "count"),
    [
        ("self_time", 10 * MS, 11 * MS, 50),
        ("self_time", 0.2 * MS, 1.1 * MS, 50),
        ("self_time", 10 * MS, 90 * MS, 3),
        ("self_time", 30 * MS, 10 * MS, 50),
        ("errors", 0.0, 0.05, 20),
        ("calls", 20.0, 19.0, 50),
        ("ratio", 1.0, 0.99, 50),
        ("metric", 4.0, 7.0, 50),
        ("level", 0.0, 0.5, 50),
    ],
)
def test_a_small_change_is_noise(kind: FeatureKind, usual: float, now: float, count: int) -> None:
    assert history(kind, *[usual] * 12).sigmas(now, count) < NOISE


def test_a_share_of_few_spans_is_less_sure() -> None:
    errors = history("errors", *[0.0] * 12)
    assert errors.sigmas(0.3, 2) < errors.sigmas(0.3, 200)


def test_a_restless_history_makes_a_value_usual() -> None:
    assert history("log", 0.1, 0.9, 0.2, 0.8, 0.3, 0.7).sigmas(1.0, 50) < NOISE


def test_a_gauge_of_an_idle_service_is_judged_by_what_is_usual_elsewhere() -> None:
    idle = [0.01] * 12
    assert history("metric", *idle).sigmas(4.0, 5) > NOISE
    assert history("metric", *idle, typical=5.0).sigmas(4.0, 5) == 0


def test_a_value_that_the_history_has_reached_is_less_rare() -> None:
    fresh, repeated = history("errors", *[0.0] * 12), history("errors", *[0.0] * 9, 0.5, 0.5, 0.5)
    assert fresh.rarity(0.5) == 1
    assert repeated.rarity(0.5) < 0.6
    assert repeated.rarity(-0.5) == 1


def test_the_past_is_judged_as_the_present_is() -> None:
    errors = history("errors", *[0.0] * 11, 0.5)
    assert dict(errors.past())[-1] == errors.sigmas(0.5, 50)
    assert dict(errors.past())[-2] == 0


def test_what_happens_in_every_part_is_not_scarce() -> None:
    assert scarcity(10, []) == 1
    assert scarcity(10, [1.0] * 9) == 1
    assert scarcity(10, [12.0] * 9) == 0
