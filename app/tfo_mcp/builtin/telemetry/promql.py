"""Parses PromQL by promql-parser into the supported subset, and evaluates it over the metrics of the store.

Knows the parser; names, series and functions belong to `tfo_mcp.analysis`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, cast

from tfo_mcp.analysis.metric_steps import Grid, grid_of
from tfo_mcp.analysis.promql import (
    AGGREGATIONS,
    ARITHMETIC,
    COMPARISONS,
    NUMBER_FUNCTIONS,
    RANGE_FUNCTIONS,
    SETS,
    BinaryOperation,
    Expression,
    FunctionCall,
    LabelMatcher,
    NumberConstant,
    SeriesAggregation,
    SeriesSelector,
    UnsupportedPromql,
    farthest_of,
    selectors_of,
)
from tfo_mcp.analysis.promql_evaluation import LOOKBACK, Vector, evaluated
from tfo_mcp.analysis.promql_series import LabelPairs, SampledSeries, matching, part_named, predicate_of, sampled
from tfo_mcp.analysis.text import safe
from tfo_mcp.builtin.telemetry.question import Question, both
from tfo_mcp.plugins.telemetry import Comparison, FieldName, MetricSeries, Selection, Signal, Window
from tfo_mcp.value_objects import value_object

_MAX_LENGTH, _MOST_NESTED = 2000, 50
_MOST_SELECTORS = 10
_MOST_METRICS, _MOST_FIELDS = 2000, 500
_OPERATORS: Mapping[str, Literal["=", "!=", "=~", "!~"]] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}
_SUPPORTED = (
    f"Functions: {', '.join(sorted(RANGE_FUNCTIONS))}, histogram_quantile, {', '.join(sorted(NUMBER_FUNCTIONS))}. "
    f"Aggregations: {', '.join(sorted(AGGREGATIONS))}."
)


@value_object
class PromqlInput:
    """What an expression is evaluated of: the series of its selectors, the steps, and the names that no metric has."""

    data: Mapping[SeriesSelector, Sequence[SampledSeries]]
    grid: Grid
    unknown: Sequence[str]


def parse_promql(text: str) -> Expression:
    """Return the expression of a text.

    Raises:
        UnsupportedPromql: the text is no PromQL, or outside of the subset.
    """
    try:
        import promql_parser
    except ImportError:
        raise UnsupportedPromql("PromQL needs the package's extra: pip install 'tfo-mcp[observability]'") from None
    if len(text) > _MAX_LENGTH:
        raise UnsupportedPromql(f"The expression has {len(text)} characters; the maximum is {_MAX_LENGTH}")
    try:
        parsed = promql_parser.parse(text)
    except ValueError as problem:
        raise UnsupportedPromql(f"Invalid PromQL: {safe(str(problem), 300)}") from None
    return _Converter().expression(parsed)


async def read_input(question: Question, expression: Expression, most_values: int) -> PromqlInput:
    """Return the series that an expression needs, of the records that the filter of a question selects.

    Raises:
        UnsupportedPromql: a metric does not have what the expression needs, or too many values.
    """
    selectors = list(dict.fromkeys(selectors_of(expression)))
    if len(selectors) > _MOST_SELECTORS:
        raise UnsupportedPromql(f"The expression has more than {_MOST_SELECTORS} selectors")
    window = question.window
    read = Window(max(0, window.start - farthest_of(selectors, LOOKBACK)), window.end)
    known = await question.store.metrics(Selection(read, question.where), about=None, limit=_MOST_METRICS)
    found: dict[SeriesSelector, tuple[str, Sequence[MetricSeries]]] = {}
    unknown = []
    for selector in selectors:
        part = part_named(selector.name, known)
        if part is None:
            unknown.append(selector.name)
            found[selector] = "", ()
        else:
            found[selector] = part.part, await _points(question, read, selector, part.metric, most_values)
    grid = grid_of(window, [one for _, series in found.values() for one in series])
    data = {selector: _sampled(selector, part, series) for selector, (part, series) in found.items()}
    return PromqlInput(data, grid, sorted(unknown))


def evaluate(expression: Expression, given: PromqlInput, window: Window) -> Vector:
    """Return the values of an expression at the end of each step.

    Raises:
        UnsupportedPromql: operands are of the wrong type, or match several series.
    """
    grid = given.grid
    return evaluated(expression, given.data, [min(grid.time(index + 1), window.end) for index in range(grid.count)])


async def _points(
    question: Question, window: Window, selector: SeriesSelector, metric: str, most_values: int
) -> Sequence[MetricSeries]:
    where = question.where
    if any(matcher.is_regex for matcher in selector.matchers):
        named = both(where, Comparison(FieldName("name"), "=", metric))
        known = await question.store.fields(
            Signal.METRICS, Selection(window, named), about=None, values=0, limit=_MOST_FIELDS
        )
        where = both(where, predicate_of(selector.matchers, [field.name for field in known.fields if field.place]))
    found = await question.store.metric_points(metric, Selection(window, where), limit=most_values)
    if found.total > most_values:
        raise UnsupportedPromql(
            f"{safe(metric)} has {found.total} values in the period and its ranges, and at most {most_values} are "
            "read: choose a shorter period, or give `where`"
        )
    return found.series


def _sampled(selector: SeriesSelector, part: str, series: Sequence[MetricSeries]) -> Sequence[SampledSeries]:
    found: dict[LabelPairs, SampledSeries] = {}
    for one in series:
        for each in sampled(one, part):
            found.setdefault(each.labels, each)
    return list(matching(found.values(), selector.matchers))


class _Converter:
    """Makes expressions of one text of the parser's."""

    def __init__(self) -> None:
        self._depth = 0
        self._kinds: Mapping[str, Callable[[Any], Expression]] = {
            "NumberLiteral": lambda parsed: NumberConstant(parsed.val),
            "ParenExpr": lambda parsed: self.expression(parsed.expr),
            "UnaryExpr": lambda parsed: BinaryOperation("*", NumberConstant(-1.0), self.expression(parsed.expr)),
            "VectorSelector": self._selector,
            "MatrixSelector": lambda parsed: self._selector(parsed.vector_selector, parsed.range),
            "Call": self._call,
            "AggregateExpr": self._aggregation,
            "BinaryExpr": self._binary,
        }

    def expression(self, parsed: Any) -> Expression:
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise UnsupportedPromql(f"The expression is nested deeper than {_MOST_NESTED} levels")
        found = self._converted(parsed)
        self._depth -= 1
        return found

    def _converted(self, parsed: Any) -> Expression:
        kind = type(parsed).__name__
        if kind == "SubqueryExpr":
            raise UnsupportedPromql("Subqueries such as x[30m:1m] are not supported: use a range such as x[30m]")
        convert = self._kinds.get(kind)
        if convert is None:
            raise UnsupportedPromql("Texts are not supported in PromQL here")
        return convert(parsed)

    def _selector(self, parsed: Any, length: timedelta | None = None) -> SeriesSelector:
        if parsed.at is not None:
            raise UnsupportedPromql("The modifier @ is not supported: give the period by `from` and `to`")
        if parsed.matchers.or_matchers:
            raise UnsupportedPromql("`or` between label matchers is not supported: use =~")
        matchers = [LabelMatcher(each.name, _OPERATORS[str(each.op)], each.value) for each in parsed.matchers.matchers]
        named = [each for each in matchers if each.name == "__name__"]
        names = [parsed.name, *(each.value for each in named if each.operator == "=")]
        chosen = [name for name in names if name]
        if len(chosen) != 1 or any(each.operator != "=" for each in named):
            raise UnsupportedPromql('Each selector needs the name of one metric, such as x or {__name__="x"}')
        others = tuple(each for each in matchers if each.name != "__name__")
        if parsed.offset is not None and parsed.offset < timedelta():
            raise UnsupportedPromql("Negative offsets are not supported")
        return SeriesSelector(chosen[0], others, _nanoseconds(length), _nanoseconds(parsed.offset))

    def _call(self, parsed: Any) -> FunctionCall:
        name = str(parsed.func.name)
        if name not in RANGE_FUNCTIONS | NUMBER_FUNCTIONS | {"histogram_quantile"}:
            raise UnsupportedPromql(f"The function {name} is not supported. {_SUPPORTED}")
        return FunctionCall(name, tuple(self.expression(each) for each in parsed.args))

    def _aggregation(self, parsed: Any) -> SeriesAggregation:
        function = str(parsed.op)
        if function not in AGGREGATIONS:
            raise UnsupportedPromql(f"The aggregation {function} is not supported. {_SUPPORTED}")
        parameter = 0.0
        if parsed.param is not None:
            number = self.expression(parsed.param)
            if not isinstance(number, NumberConstant):
                raise UnsupportedPromql(f"{function} needs a number as its parameter")
            parameter = number.value
        modifier = parsed.modifier
        without = modifier is not None and str(modifier.type).endswith("Without")
        return SeriesAggregation(
            function,
            self.expression(parsed.expr),
            parameter,
            tuple(modifier.labels) if modifier is not None else (),
            without,
        )

    def _binary(self, parsed: Any) -> BinaryOperation:
        operator = str(parsed.op)
        if operator not in ARITHMETIC | COMPARISONS | SETS:
            raise UnsupportedPromql(f"The operator {operator} is not supported")
        labels, ignoring, as_bool = None, False, False
        modifier = parsed.modifier
        if modifier is not None:
            if "ManyToOne" in str(modifier.card) or "OneToMany" in str(modifier.card):
                raise UnsupportedPromql("group_left and group_right are not supported: aggregate the other side first")
            as_bool = bool(modifier.return_bool)
            if modifier.matching is not None:
                labels = tuple(cast(Sequence[str], modifier.matching.labels))
                ignoring = str(modifier.matching.type).endswith("Exclude")
        return BinaryOperation(
            operator, self.expression(parsed.lhs), self.expression(parsed.rhs), labels, ignoring, as_bool
        )


def _nanoseconds(length: timedelta | None) -> int:
    return 0 if length is None else round(length.total_seconds() * 1_000_000_000)
