"""Statistics of groups of series, by kind of metric."""

import pytest

from tests.support.metric_records import SECOND, at, series
from tfo_mcp.analysis.metric_groups import MetricGroup, Statistic, default_statistic, groups_of
from tfo_mcp.analysis.metric_steps import Grid
from tfo_mcp.application.ports.telemetry_metrics import ExemplarValue, HistogramPoint, MetricSeries, SummaryPoint
from tfo_mcp.domain.errors import OperationFailed

GRID = Grid(at(0), 60 * SECOND, 2)


def group(statistic: Statistic, *members: MetricSeries) -> MetricGroup:
    (found,) = groups_of({("all",): members}, statistic, GRID, at(-60))
    return found


def values(statistic: Statistic, *members: MetricSeries) -> list[float | None]:
    return list(group(statistic, *members).values)


def test_gauges_are_averaged_per_series_first() -> None:
    often = series("gauge", [(0, 10.0), (20, 20.0), (40, 30.0), (60, 0.0)])
    seldom = series("gauge", [(30, 100.0)])
    assert values("avg", often, seldom) == [60, 0]
    assert values("sum", often, seldom) == [120, 0]
    assert values("min", often, seldom) == [10, 0]
    assert values("max", often, seldom) == [100, 0]
    assert values("p50", often, seldom) == [25, 0]
    with pytest.raises(OperationFailed, match="rate needs a counter or a histogram; m is a gauge"):
        values("rate", often)


def test_counters_are_rates_whatever_their_temporality() -> None:
    delta = series("sum", [(60, 60.0), (120, 120.0)], "delta", start=0)
    cumulative = series("sum", [(0, 1000.0), (60, 1060.0), (120, 60.0)], "cumulative", start=-999)
    assert values("rate", delta, cumulative) == [2, 3]
    assert values("increase", delta, cumulative) == [120, 180]
    assert values("avg", delta, cumulative) == [1, 1.5]
    assert values("max", delta, cumulative) == [1, 2]
    found = group("rate", delta, cumulative)
    assert (found.whole, found.resets, found.series) == ({"total": 300}, 1, 2)


def test_a_rate_of_a_program_that_started_within_a_step_is_not_diluted() -> None:
    assert values("rate", series("sum", [(60, 30.0)], "cumulative", start=30)) == [1, None]


def test_histograms_of_all_series_are_one_distribution() -> None:
    fast = series("histogram", [(60, HistogramPoint(90, 45.0, None, None, (1.0, 2.0), (90, 0, 0)))], "delta", start=0)
    slow = series("histogram", [(60, HistogramPoint(10, 15.0, None, None, (1.0, 2.0), (0, 10, 0)))], "delta", start=0)
    assert values("p95", fast, slow) == [1.5, None]
    assert values("avg", fast, slow) == [0.6, None]
    assert values("rate", fast, slow)[0] == pytest.approx(100 / 60)
    assert values("increase", fast, slow) == [100, None]
    found = group("p95", fast, slow)
    assert (found.whole["count"], found.whole["avg"], found.whole["p95"]) == (100, 0.6, 1.5)


def test_summaries_show_the_largest_reported_quantile() -> None:
    one = series(
        "summary", [(0, SummaryPoint(10, 100.0, ((0.5, 9.0), (0.95, 20.0)))), (60, SummaryPoint(20, 300.0, ()))]
    )
    two = series("summary", [(10, SummaryPoint(1, 1.0, ((0.95, 30.0),)))])
    assert values("p95", one, two) == [30, None]
    assert values("avg", one, two) == [20, None]
    with pytest.raises(OperationFailed, match="The summary m has the percentiles 50, 95 only"):
        values("p99", one)


def test_the_default_follows_the_kind() -> None:
    kinds = [
        series("gauge", []),
        series("sum", []),
        series("sum", [], monotonic=False),
        series("histogram", []),
        series("exponential_histogram", []),
        series("summary", []),
    ]
    assert [default_statistic(each) for each in kinds] == ["avg", "rate", "sum", "p95", "p95", "p95"]


def test_the_example_is_the_largest_exemplar_of_the_period() -> None:
    one = series("gauge", [(0, 1.0)])
    one.exemplars = [  # type: ignore[misc]
        ExemplarValue(9.0, at(-30), "before", ""),
        ExemplarValue(5.0, at(30), "largest", ""),
        ExemplarValue(4.0, at(40), "other", ""),
    ]
    assert group("avg", one).trace_id == "largest"
