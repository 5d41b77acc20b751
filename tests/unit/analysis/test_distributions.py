"""Distributions of histograms: differences, sums and quantiles, checked against the values that made them."""

from collections.abc import Sequence
from math import ceil, floor, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfo_mcp.analysis.distributions import difference, distribution_of, merged
from tfo_mcp.application.ports.telemetry_metrics import ExponentialPoint, HistogramPoint

BOUNDS = (1.0, 2.0, 5.0, 10.0)
VALUES = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=50)


def histogram(values: Sequence[float], bounds: Sequence[float] = BOUNDS, *, ends: bool = False) -> HistogramPoint:
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[sum(value > bound for bound in bounds)] += 1
    least, most = (min(values), max(values)) if ends and values else (None, None)
    return HistogramPoint(len(values), sum(values), least, most, bounds, counts)


def exponential(values: Sequence[float], scale: int) -> ExponentialPoint:
    """Return the point that a program reports; values nearer to zero than 1e-6 are zeros."""
    sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
    zeros = 0
    for value in values:
        if abs(value) <= 1e-6:
            zeros += 1
            continue
        index = ceil(log2(abs(value)) * 2**scale) - 1
        side = sides[1 if value > 0 else -1]
        side[index] = side.get(index, 0) + 1
    spans = {sign: range(min(side, default=0), max(side, default=-1) + 1) for sign, side in sides.items()}
    positive, negative = ([sides[sign].get(index, 0) for index in spans[sign]] for sign in (1, -1))
    return ExponentialPoint(
        len(values), sum(values), None, None, scale, zeros, 1e-6, spans[1].start, positive, spans[-1].start, negative
    )


def test_quantiles_lie_between_the_bounds_of_their_bucket() -> None:
    found = distribution_of(histogram([0.5] * 50 + [3.0] * 50))
    assert found.quantile(0.25) == 0.5  # from 0, the middle of the first bucket
    assert found.quantile(0.75) == 3.5  # the middle of 2 to 5
    assert found.mean == 1.75


def test_the_last_bucket_ends_at_the_largest_value_or_at_its_bound() -> None:
    assert distribution_of(histogram([50.0] * 10)).quantile(0.99) == 10
    assert distribution_of(histogram([20.0, 50.0], ends=True)).quantile(1) == 50
    assert distribution_of(histogram([20.0, 50.0], ends=True)).quantile(0) == 20


def test_a_histogram_without_buckets_has_a_mean_and_quantiles_between_its_ends() -> None:
    bare = HistogramPoint(4, 20.0, None, None, (), ())
    assert (distribution_of(bare).mean, distribution_of(bare).quantile(0.5)) == (5, None)
    assert distribution_of(HistogramPoint(4, 20.0, 0.0, 10.0, (), ())).quantile(0.5) == 5


def test_what_a_histogram_gained_is_the_difference_and_a_loss_is_a_reset() -> None:
    old, new = [0.5, 3.0], [0.5, 3.0, 3.0, 7.0]
    gained = difference(histogram(new), histogram(old))
    assert gained is not None
    assert (gained.count, gained.total, dict(gained.intervals)) == (2, 10.0, {(2.0, 5.0): 1, (5.0, 10.0): 1})
    assert difference(histogram(old), histogram(new)) is None
    assert difference(histogram([0.5, 0.5, 7.0]), histogram(old)) is None, "as many values, in other buckets"
    assert difference(histogram(new, (1.0, 4.0)), histogram(old)) is None


def test_an_exponential_histogram_that_became_coarser_was_not_reset() -> None:
    gained = difference(exponential([1.5, 3.0, 300.0], 0), exponential([1.5, 3.0], 3))
    assert gained is not None
    assert dict(gained.intervals) == {(256.0, 512.0): 1}


@given(VALUES, VALUES, st.sampled_from([0, 3, 5]), st.sampled_from([0, 3, 5]))
def test_merged_exponential_histograms_have_the_quantiles_of_all_values(
    one: list[float], other: list[float], first: int, second: int
) -> None:
    found = merged([distribution_of(exponential(one, first)), distribution_of(exponential(other, second))])
    ordered = sorted(one + other)
    assert found.count == len(ordered)
    width = 2 ** (2 ** -min(first, second))
    for quantile in (0.1, 0.5, 0.9):
        position = quantile * len(ordered)
        near = {ordered[max(0, ceil(position) - 1)], ordered[min(len(ordered) - 1, floor(position))]}
        low = min(value / width if value > 0 else value * width for value in near) - 2e-6
        high = max(value * width if value > 0 else value / width for value in near) + 2e-6
        value = found.quantile(quantile)
        assert value is not None
        assert low <= value <= high


def test_a_part_has_the_same_quantiles() -> None:
    whole = distribution_of(histogram([0.5, 3.0, 3.0, 7.0]))
    assert whole.part(0.25).quantile(0.5) == pytest.approx(whole.quantile(0.5))
    assert whole.part(0.25).count == 1
