"""Evaluates PromQL expressions at given times over sampled series.

A vector has a value per series and time, or None. Names of metrics are not labels here, so that operations need not
drop them. Knows neither a parser nor a store.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import add, eq, ge, gt, le, lt, mul, ne, sub

from tfo_mcp.analysis.metric_groups import quantile_of
from tfo_mcp.analysis.promql import (
    COMPARISONS,
    RANGE_FUNCTIONS,
    SETS,
    BinaryOperation,
    Expression,
    FunctionCall,
    NumberConstant,
    SeriesAggregation,
    SeriesSelector,
    UnsupportedPromql,
)
from tfo_mcp.analysis.promql_ranges import latest, over_range
from tfo_mcp.analysis.promql_series import LabelPairs, SampledSeries

LOOKBACK = 300_000_000_000
"""Nanoseconds for which a value stays the latest one."""
Values = Sequence[float | None]
Vector = Mapping[LabelPairs, Values]


def _divided(one: float, other: float) -> float:
    if other:
        return one / other
    return math.nan if not one or math.isnan(one) else math.copysign(math.inf, one)


def _power(one: float, other: float) -> float:
    try:
        return math.pow(one, other)
    except (OverflowError, ValueError):
        return math.nan


def _remainder(one: float, other: float) -> float:
    return math.fmod(one, other) if other and math.isfinite(one) else math.nan


def _logarithm(of: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: of(value) if value > 0 else (-math.inf if value == 0 else math.nan)


_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": _divided,
    "%": _remainder,
    "^": _power,
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
    "floor": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
    "sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
    "exp": lambda value: math.exp(value) if value < 700 else math.inf,
    "ln": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "clamp_min": max,
    "clamp_max": min,
}

_FOLDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": lambda values: float(sum(values)),
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
}


def evaluated(
    expression: Expression, data: Mapping[SeriesSelector, Sequence[SampledSeries]], times: Sequence[int]
) -> Vector:
    """Return the values of an expression at times; a number is a series without labels.

    Args:
        data: the series of each selector of the expression.

    Raises:
        UnsupportedPromql: operands are of the wrong type, or match several series.
    """
    found = _Evaluation(data, times).value(expression)
    return {(): [found] * len(times)} if isinstance(found, float) else found


class _Evaluation:
    def __init__(self, data: Mapping[SeriesSelector, Sequence[SampledSeries]], times: Sequence[int]) -> None:
        self._data = data
        self._times = times

    def value(self, expression: Expression) -> Vector | float:
        match expression:
            case NumberConstant():
                return float(expression.value)
            case SeriesSelector():
                return self._selected(expression)
            case FunctionCall():
                return self._called(expression)
            case SeriesAggregation():
                return self._aggregated(expression)
            case BinaryOperation():
                return self._combined(expression)

    def _vector(self, expression: Expression, of: str) -> Vector:
        found = self.value(expression)
        if isinstance(found, float):
            raise UnsupportedPromql(f"{of} needs series, not a number")
        return found

    def _selected(self, selector: SeriesSelector) -> Vector:
        if selector.range:
            raise UnsupportedPromql(f"{selector.name}[...] needs a function such as rate around it")
        return {
            series.labels: [latest(series, time - selector.offset, LOOKBACK) for time in self._times]
            for series in self._data[selector]
        }

    def _called(self, call: FunctionCall) -> Vector:
        if call.name in RANGE_FUNCTIONS:
            (selector,) = call.arguments
            if not isinstance(selector, SeriesSelector) or not selector.range:
                raise UnsupportedPromql(f"{call.name} needs a selector with a range, such as x[5m]")
            return {
                series.labels: [
                    over_range(call.name, series, time - selector.offset, selector.range) for time in self._times
                ]
                for series in self._data[selector]
            }
        if call.name == "histogram_quantile":
            quantile, buckets = call.arguments
            return _histogram_quantiles(self._number(quantile, call.name), self._vector(buckets, call.name))
        function = _FUNCTIONS[call.name]
        further = [self._number(argument, call.name) for argument in call.arguments[1:]]
        vector = self._vector(call.arguments[0], call.name)
        return {
            labels: [None if value is None else float(function(value, *further)) for value in values]
            for labels, values in vector.items()
        }

    def _number(self, expression: Expression, of: str) -> float:
        found = self.value(expression)
        if not isinstance(found, float):
            raise UnsupportedPromql(f"{of} needs a number where it has series")
        return found

    def _aggregated(self, aggregation: SeriesAggregation) -> Vector:
        vector = self._vector(aggregation.operand, aggregation.function)
        groups: dict[LabelPairs, list[LabelPairs]] = defaultdict(list)
        for labels in vector:
            groups[_kept(labels, aggregation.labels, without=aggregation.without)].append(labels)
        if aggregation.function in ("topk", "bottomk"):
            return _extremes(vector, groups, aggregation)
        return {
            group: [
                _folded(aggregation, [value for value in step if value is not None])
                for step in zip(*(vector[labels] for labels in members), strict=True)
            ]
            for group, members in groups.items()
        }

    def _combined(self, operation: BinaryOperation) -> Vector | float:
        left, right = self.value(operation.left), self.value(operation.right)
        if operation.operator in SETS:
            if isinstance(left, float) or isinstance(right, float):
                raise UnsupportedPromql(f"{operation.operator} needs series on both sides")
            return _set_of(operation, left, right)
        apply = _operation(operation)
        if isinstance(left, float) and isinstance(right, float):
            found = apply(left, right, left)
            return float(_OPERATORS[operation.operator](left, right)) if found is None else found
        if isinstance(right, float):
            return {labels: [apply(each, right, each) for each in values] for labels, values in _items(left)}
        if isinstance(left, float):
            return {labels: [apply(left, each, each) for each in values] for labels, values in _items(right)}
        others = _by_match(operation, right)
        return {
            labels: [apply(one, other, one) for one, other in zip(values, others[match][1], strict=True)]
            for match, (labels, values) in _by_match(operation, left).items()
            if match in others
        }


def _items(vector: Vector | float) -> Sequence[tuple[LabelPairs, Values]]:
    assert not isinstance(vector, float)
    return list(vector.items())


def _operation(
    operation: BinaryOperation,
) -> Callable[[float | None, float | None, float | None], float | None]:
    """Return a function of both sides and of the value that a comparison keeps."""
    function = _OPERATORS[operation.operator]
    is_filter = operation.operator in COMPARISONS and not operation.as_bool

    def apply(one: float | None, other: float | None, kept: float | None) -> float | None:
        if one is None or other is None:
            return None
        found = function(one, other)
        return (kept if found else None) if is_filter else float(found)

    return apply


def _kept(labels: LabelPairs, names: Sequence[str], *, without: bool) -> LabelPairs:
    return tuple((name, value) for name, value in labels if (name in names) != without)


def _match(operation: BinaryOperation, labels: LabelPairs) -> LabelPairs:
    return labels if operation.labels is None else _kept(labels, operation.labels, without=operation.ignoring)


def _by_match(operation: BinaryOperation, vector: Vector) -> Mapping[LabelPairs, tuple[LabelPairs, Values]]:
    """Return the series by the labels that must be equal on both sides."""
    found: dict[LabelPairs, tuple[LabelPairs, Values]] = {}
    for labels, values in vector.items():
        match = _match(operation, labels)
        if match in found:
            raise UnsupportedPromql(
                f"Several series on one side of {operation.operator} have the same labels: aggregate that side first "
                "(group_left and group_right are not supported)"
            )
        found[match] = (labels if operation.labels is None else match, values)
    return found


def _set_of(operation: BinaryOperation, left: Vector, right: Vector) -> Vector:
    one_has, other_has = _presence(operation, left), _presence(operation, right)
    if operation.operator == "or":
        further = {
            labels: [
                None if is_left else value
                for value, is_left in zip(values, _row(one_has, operation, labels, values), strict=True)
            ]
            for labels, values in right.items()
        }
        return {**further, **left}
    wanted = operation.operator == "and"
    return {
        labels: [
            value if there == wanted else None
            for value, there in zip(values, _row(other_has, operation, labels, values), strict=True)
        ]
        for labels, values in left.items()
    }


def _presence(operation: BinaryOperation, vector: Vector) -> Mapping[LabelPairs, Sequence[bool]]:
    found: dict[LabelPairs, list[bool]] = {}
    for labels, values in vector.items():
        there = [value is not None for value in values]
        match = _match(operation, labels)
        found[match] = [one or other for one, other in zip(found.get(match, there), there, strict=True)]
    return found


def _row(
    presence: Mapping[LabelPairs, Sequence[bool]], operation: BinaryOperation, labels: LabelPairs, values: Values
) -> Sequence[bool]:
    return presence.get(_match(operation, labels), [False] * len(values))


def _folded(aggregation: SeriesAggregation, values: Sequence[float]) -> float | None:
    if not values:
        return None
    fold = _FOLDS.get(aggregation.function)
    return fold(values) if fold else quantile_of(values, max(0.0, min(aggregation.parameter, 1.0)))


def _extremes(
    vector: Vector, groups: Mapping[LabelPairs, Sequence[LabelPairs]], aggregation: SeriesAggregation
) -> Vector:
    """Return the largest or smallest series of each group at each time; those that never are, are left out."""
    found: dict[LabelPairs, list[float | None]] = {labels: [None] * len(values) for labels, values in vector.items()}
    sign = -1 if aggregation.function == "topk" else 1
    for members in groups.values():
        for index in range(len(vector[members[0]])):
            present = [(value, labels) for labels in members if (value := vector[labels][index]) is not None]
            ranked = sorted(present, key=lambda each: sign * each[0])
            for value, labels in ranked[: max(0, int(aggregation.parameter))]:
                found[labels][index] = value
    return {labels: values for labels, values in found.items() if any(value is not None for value in values)}


def _histogram_quantiles(quantile: float, vector: Vector) -> Vector:
    groups: dict[LabelPairs, list[tuple[float, Values]]] = defaultdict(list)
    for labels, values in vector.items():
        bound = dict(labels).get("le")
        if bound is None:
            raise UnsupportedPromql("histogram_quantile needs the label le: add it to `by (le)`")
        groups[_kept(labels, ("le",), without=True)].append((float(bound), values))
    return {
        labels: [
            _bucket_quantile(
                quantile, [(bound, value) for bound, value in zip(bounds, step, strict=True) if value is not None]
            )
            for step in zip(*(values for _, values in ordered), strict=True)
        ]
        for labels, ordered, bounds in (
            (labels, ordered, [bound for bound, _ in ordered])
            for labels, ordered in (
                (labels, sorted(found, key=lambda each: each[0])) for labels, found in groups.items()
            )
        )
    }


def _bucket_quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Return the quantile of cumulative buckets, as Prometheus interpolates it."""
    if len(buckets) < 2 or buckets[-1][0] != math.inf or not buckets[-1][1] or not 0 <= quantile <= 1:
        return None
    rank = quantile * buckets[-1][1]
    index = next((at for at, (_, count) in enumerate(buckets) if count >= rank), len(buckets) - 1)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    high, count = buckets[index]
    if index == 0 and high <= 0:
        return high
    low, below = buckets[index - 1] if index else (0.0, 0.0)
    return low + (high - low) * (rank - below) / (count - below) if count > below else low
