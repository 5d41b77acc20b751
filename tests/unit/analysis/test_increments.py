"""What counters gain per step: temporalities, resets, restarts, repeated points and gaps."""

from dataclasses import replace

import pytest

from tests.support.metric_records import SECOND, at, series
from tfo_mcp.analysis.increments import increments_of
from tfo_mcp.analysis.metric_steps import Grid, gains_of, grid_of, levels_of
from tfo_mcp.application.ports.telemetry_metrics import HistogramPoint, MetricSeries
from tfo_mcp.application.ports.telemetry_query import Window

MINUTES = Grid(at(0), 60 * SECOND, 5)


def gained(one: MetricSeries, since: float = 0) -> list[float]:
    return [float(gain.amount) for gain in increments_of(one, at(since)).gains if isinstance(gain.amount, int | float)]


def per_step(one: MetricSeries) -> list[float]:
    found = gains_of(one, MINUTES, at(-60))
    return [round(sum(float(part) for part in step if isinstance(part, int | float)), 6) for step in found.amounts]


def test_a_cumulative_counter_gains_the_differences() -> None:
    one = series("sum", [(0, 100.0), (60, 130.0), (120, 130.0), (180, 190.0)], "cumulative", start=-9999)
    assert gained(one) == [30, 0, 60]


def test_after_a_reset_the_value_itself_is_the_gain() -> None:
    one = series("sum", [(0, 100.0), (60, 130.0), (120, 10.0), (180, 40.0)], "cumulative")
    assert gained(one) == [30, 10, 30]
    assert increments_of(one, 0).resets == 1


def test_a_new_start_is_a_reset_even_if_the_value_grew() -> None:
    one = series("sum", [(0, 100.0), (60, 150.0)], "cumulative", start=-9999)
    restarted = replace(one, starts=[at(-9999), at(30)])
    found = increments_of(restarted, at(-60))
    assert [gain.amount for gain in found.gains] == [150]
    assert (found.gains[0].start, found.resets) == (at(30), 1)


def test_a_counter_that_starts_within_what_was_read_gained_its_first_value() -> None:
    points = [(60.0, 40.0), (120.0, 50.0)]
    assert gained(series("sum", points, "cumulative", start=10)) == [40, 10]
    assert gained(series("sum", points, "cumulative", start=-10)) == [10]


def test_points_that_were_received_twice_count_once() -> None:
    assert gained(series("sum", [(60, 5.0), (60, 5.0), (120, 7.0)], "delta", start=0)) == [5, 7]
    assert gained(series("sum", [(0, 5.0), (60, 9.0), (60, 9.0), (30, 1.0)], "cumulative")) == [4]


def test_delta_and_cumulative_series_of_one_program_gain_the_same_per_step() -> None:
    counts = [(30.0, 10.0), (90.0, 30.0), (150.0, 20.0), (210.0, 0.0), (270.0, 60.0)]
    delta = series("sum", counts, "delta", start=-30)
    total, points = 0.0, []
    for time, count in counts:
        total += count
        points.append((time, total))
    cumulative = series("sum", points, "cumulative", start=-30)
    assert per_step(delta) == per_step(cumulative) == [20, 25, 10, 30, 30]  # the gain across a border is shared


def test_a_delta_series_that_reports_nothing_gained_nothing() -> None:
    one = series("sum", [(60, 6.0), (300, 6.0)], "delta", start=0)
    unknown_start = replace(one, starts=[0, at(240)])
    assert list(gains_of(unknown_start, MINUTES, at(-60)).seconds) == [0, 60, 60, 60, 60]


def test_histograms_gain_distributions_and_are_reset_like_counters() -> None:
    points = [
        (time, HistogramPoint(sum(counts), None, None, None, (1.0,), counts))
        for time, counts in ((0.0, [1, 0]), (60.0, [1, 4]), (120.0, [2, 0]))
    ]
    found = increments_of(series("histogram", points, "cumulative"), 0)
    assert [getattr(gain.amount, "count", None) for gain in found.gains] == [4, 2]
    assert found.resets == 1


def test_levels_are_the_reported_values_and_one_missed_report_keeps_the_last() -> None:
    one = series("gauge", [(5, 1.0), (65, 3.0), (70, 5.0), (185, 7.0)])
    assert levels_of(one, MINUTES) == [[1], [3, 5], [5], [7], []]


def test_a_sum_that_also_falls_is_a_level_whose_deltas_add_up() -> None:
    one = series("sum", [(5, 4.0), (65, -1.0), (125, 2.0)], "delta", monotonic=False)
    assert levels_of(one, MINUTES)[:3] == [[4], [3], [5]]


@pytest.mark.parametrize(
    ("seconds", "interval", "step"), [(3600, 60, 60), (3600, 90, 120), (600, 1, 10), (86_400, 15, 1800)]
)
def test_steps_are_round_at_most_60_and_not_shorter_than_the_interval(seconds: int, interval: int, step: int) -> None:
    one = series("gauge", [(time, 1.0) for time in range(0, seconds, interval)])
    grid = grid_of(Window(at(0), at(seconds)), [one])
    assert (grid.length, grid.count) == (step * SECOND, -(-seconds // step))
