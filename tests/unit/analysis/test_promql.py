"""PromQL over stored series: names, rates, quantiles, operators and matching, by the definitions of Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import pytest

from tests.support.metric_records import at, series
from tfo_mcp.analysis.promql import LabelMatcher, UnsupportedPromql, selectors_of
from tfo_mcp.analysis.promql_evaluation import evaluated
from tfo_mcp.analysis.promql_series import SampledSeries, labels_of, matching, part_named, predicate_of, sampled
from tfo_mcp.application.ports.telemetry_metrics import ExponentialPoint, HistogramPoint, SummaryPoint
from tfo_mcp.application.ports.telemetry_store import MetricSummary
from tfo_mcp.builtin.telemetry.promql import parse_promql

Labels = Mapping[str, str]


def line(points: Sequence[tuple[float, float]], **labels: str) -> SampledSeries:
    return SampledSeries(
        tuple(sorted(labels.items())), [at(time) for time, _ in points], [value for _, value in points]
    )


def counter(per_second: float, until: int = 600, **labels: str) -> SampledSeries:
    return line([(time, 1000 + per_second * time) for time in range(0, until + 1, 15)], **labels)


def results(promql: str, *given: SampledSeries, time: float = 600) -> dict[str, float | None]:
    """Return the value of each series of a result at a time; all selectors select the given series by their labels."""
    expression = parse_promql(promql)
    data = {each: list(matching(given, each.matchers)) for each in selectors_of(expression)}
    found = evaluated(expression, data, [at(time)])
    return {",".join(f"{name}={value}" for name, value in labels): values[0] for labels, values in found.items()}


class TestValues:
    @pytest.mark.parametrize(
        ("promql", "expected"),
        [
            ("1 + 2 * 3 ^ 2", 19),
            ("-x", -1600),
            ("rate(x[5m])", 1),
            ("increase(x[5m])", 300),
            ("irate(x[1m])", 1),
            ("delta(x[5m])", 300),
            ("x offset 5m", 1300),
            ("rate(x[5m] offset 1m) * 60", 60),
            ("max_over_time(x[1m]) - min_over_time(x[1m])", 45),
            ("count_over_time(x[1m])", 4),
            ("avg_over_time(x[30s])", 1592.5),
            ("changes(x[1m]) + resets(x[1m])", 3),
            ("clamp_max(x, 7) / 0", inf),
            ("floor(log2(x))", 10),
            ("x > bool 5", 1),
            ("x > 5", 1600),
            ("5 < x", 1600),
        ],
    )
    def test_of_one_series(self, promql: str, expected: float) -> None:
        assert results(promql, counter(1)) == {"": pytest.approx(expected)}

    def test_a_filter_leaves_out_what_does_not_match(self) -> None:
        assert results("x > 9999", counter(1)) == {"": None}

    def test_a_reset_is_no_decrease(self) -> None:
        restarted = line([(0, 100), (60, 160), (120, 10), (180, 70)])
        assert results("increase(x[4m])", restarted, time=180)[""] == pytest.approx(130 * 240 / 180)

    def test_a_rate_is_extrapolated_to_the_range_but_not_below_zero(self) -> None:
        started = line([(60, 0), (75, 15), (90, 30)])
        assert results("increase(x[1m])", started, time=100)[""] == pytest.approx(30 * 40 / 30)

    def test_a_value_is_kept_for_five_minutes(self) -> None:
        assert results("x", counter(1), time=899) == {"": 1600}
        assert results("x", counter(1), time=900) == {"": None}


class TestSeries:
    A, B = counter(1, job="a", zone="x"), counter(3, job="b", zone="x")

    @pytest.mark.parametrize(
        ("promql", "expected"),
        [
            ("sum(rate(x[5m]))", {"": 4}),
            ("sum by (job) (rate(x[5m]))", {"job=a": 1, "job=b": 3}),
            ("avg without (job) (rate(x[5m]))", {"zone=x": 2}),
            ("quantile(0.5, rate(x[5m]))", {"": 2}),
            ("count(x) + min(rate(x[5m])) + max(rate(x[5m]))", {"": 6}),
            ("topk(1, rate(x[5m]))", {"job=b,zone=x": 3}),
            ("bottomk(1, rate(x[5m]))", {"job=a,zone=x": 1}),
            ('rate(x{job!="a"}[5m])', {"job=b,zone=x": 3}),
            ('x{missing=""} - x', {"job=a,zone=x": 0, "job=b,zone=x": 0}),
            ('rate(x{job="b"}[5m]) / on(zone) rate(x{job="a"}[5m])', {"zone=x": 3}),
            ('rate(x{job="b"}[5m]) / ignoring(job) rate(x{job="a"}[5m])', {"zone=x": 3}),
            ('x and on(job) x{job="a"}', {"job=a,zone=x": 1600, "job=b,zone=x": None}),
            ('x unless x{job="a"}', {"job=a,zone=x": None, "job=b,zone=x": 2800}),
            ('x{job="a"} or x{job="b"}', {"job=a,zone=x": 1600, "job=b,zone=x": 2800}),
        ],
    )
    def test_are_aggregated_and_matched(self, promql: str, expected: Mapping[str, float | None]) -> None:
        assert results(promql, self.A, self.B) == {
            labels: None if value is None else pytest.approx(value) for labels, value in expected.items()
        }

    def test_quantiles_of_buckets_are_interpolated(self) -> None:
        buckets = [counter(rate, le=le) for le, rate in (("0.1", 5), ("0.5", 9), ("1", 10), ("+Inf", 10))]
        found = results("histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))", *buckets)
        assert found[""] == pytest.approx(0.5)
        assert results("histogram_quantile(0.25, rate(x_bucket[5m]))", *buckets)[""] == pytest.approx(0.05)

    @pytest.mark.parametrize(
        ("promql", "why"),
        [
            ("rate(x[5m", "Invalid PromQL"),
            ("rate(x)", "expected type matrix"),
            ("x[5m]", "needs a function such as rate"),
            ("max_over_time(rate(x[5m])[1h:1m])", "Subqueries"),
            ("x @ 100", "modifier @"),
            ("predict_linear(x[1h], 60)", "function predict_linear is not supported. Functions: avg_over_time"),
            ("stddev(x)", "aggregation stddev is not supported"),
            ("x / on(zone) group_left x", "group_left"),
            ("x / on(zone) x", "Several series on one side of /"),
            ('{job="a"}', "name of one metric"),
            ("histogram_quantile(0.5, x)", "needs the label le"),
            ('"text"', "Texts"),
            ("(" * 60 + "x" + ")" * 60, "nested deeper"),
            ("x + " * 600 + "x", "maximum is 2000"),
        ],
    )
    def test_what_is_not_supported_is_explained(self, promql: str, why: str) -> None:
        with pytest.raises(UnsupportedPromql, match=why.replace(".", r"\.")):
            results(promql, self.A, self.B)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("http.requests", ("http.requests", "")),
            ("http_requests_total", ("http.requests", "")),
            ("wait_seconds_bucket", ("wait", "_bucket")),
            ("wait_count", ("wait", "_count")),
            ("heap_bytes", ("heap", "")),
            ("heap_total", None),
            ("heap_count", None),
        ],
    )
    def test_of_prometheus_stand_for_metrics(self, name: str, expected: tuple[str, str] | None) -> None:
        known = [
            MetricSummary(metric, kind, unit, "", "cumulative", monotonic, (), 1)
            for metric, kind, unit, monotonic in (
                ("http.requests", "sum", "{request}", True),
                ("wait", "histogram", "s", False),
                ("heap", "gauge", "By", False),
            )
        ]
        found = part_named(name, known)
        assert (found and (found.metric, found.part)) == expected

    def test_a_histogram_has_buckets_that_add_up(self) -> None:
        points = [(0.0, HistogramPoint(3, 6.0, None, None, (0.5, 1.0), (1, 2, 0)))] * 1
        one = series("histogram", points, "cumulative", route="/")
        found = {dict(each.labels)["le"]: list(each.values) for each in sampled(one, "_bucket")}
        assert found == {"0.5": [1], "1": [3], "+Inf": [3]}
        assert [list(each.values) for each in sampled(one, "_sum")] == [[6]]

    def test_deltas_add_up_and_summaries_have_quantiles(self) -> None:
        (deltas,) = sampled(series("sum", [(0, 1.0), (60, 2.0)], "delta"), "")
        assert list(deltas.values) == [1, 3]
        (quantile,) = sampled(series("summary", [(0, SummaryPoint(1, 2.0, ((0.9, 7.0),)))]), "")
        assert (dict(quantile.labels)["quantile"], list(quantile.values)) == ("0.9", [7])

    def test_an_exponential_histogram_has_no_buckets_here(self) -> None:
        points = [(0.0, ExponentialPoint(1, 1.0, None, None, 0, 0, 0.0, 0, (1,), 0, ()))]
        with pytest.raises(UnsupportedPromql, match="Give `metric` for its quantiles"):
            list(sampled(series("exponential_histogram", points), "_bucket"))

    def test_labels_are_attributes_with_the_service_as_job(self) -> None:
        one = replace(series("gauge", []), attributes={"http.route": "/buy"})
        assert labels_of(one) == {"job": "shop", "service_name": "shop", "http_route": "/buy"}


def test_regular_expressions_are_left_to_the_store() -> None:
    assert predicate_of([LabelMatcher("a", "=", "x")], ["a"]) is None
    with pytest.raises(UnsupportedPromql, match="Regular expressions of le"):
        predicate_of([LabelMatcher("le", "=~", "x")], [])
    with pytest.raises(UnsupportedPromql, match="invalid"):
        predicate_of([LabelMatcher("a", "=~", "(")], ["a"])
