"""Changes of level: found where they are, and nowhere in noise, slopes and single spikes."""

from random import Random

import pytest

from tfo_mcp.analysis.change_points import changes_of, slope_of


def noise(seed: int, level: float = 100, spread: float = 5, count: int = 60) -> list[float]:
    random = Random(seed)
    return [random.gauss(level, spread) for _ in range(count)]


def test_noise_has_no_change() -> None:
    assert [seed for seed in range(200) if changes_of(noise(seed))] == []


@pytest.mark.parametrize("seed", range(20))
def test_a_step_is_found_where_it_is(seed: int) -> None:
    (change,) = changes_of(noise(seed, count=40) + noise(seed + 1000, level=140, count=20))
    assert abs(change.position - 40) <= 1
    assert change.before == pytest.approx(100, abs=5)
    assert change.after == pytest.approx(140, abs=5)


def test_a_rise_and_a_fall_are_two_changes() -> None:
    up, down = changes_of(noise(1, count=25) + noise(2, level=300, count=10) + noise(3, count=25))
    assert (up.position, down.position) == (25, 35)
    assert [up.before, up.after, down.after] == pytest.approx([100, 300, 100], abs=8)
    assert down.before == up.after


def test_a_series_without_noise_changes_too() -> None:
    (change,) = changes_of([0.0] * 10 + [7.0] * 5)
    assert (change.position, change.before, change.after) == (10, 0, 7)


def test_a_spike_is_no_change_of_level() -> None:
    assert changes_of([*noise(1, count=30), 900.0, *noise(2, count=29)]) == []


def test_a_steady_rise_is_a_slope_and_no_change() -> None:
    rising = [10 + 2 * index + each for index, each in enumerate(noise(4, level=0, spread=3))]
    slope = slope_of(rising)
    assert slope is not None
    assert [slope.first, slope.last] == pytest.approx([10, 128], abs=5)
    assert changes_of(rising) == []
    assert slope_of(noise(5)) is None


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 9.0], [1.0] * 5])
def test_few_or_equal_values_have_no_change(values: list[float]) -> None:
    assert changes_of(values) == []
