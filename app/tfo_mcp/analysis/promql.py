"""The subset of PromQL that is evaluated over stored metrics, as typed expressions.

Owns the expressions and the names of functions and operators. Knows neither a parser nor series.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.value_objects import value_object

RANGE_FUNCTIONS = frozenset(
    {
        *("rate", "increase", "delta", "irate", "changes", "resets"),
        *("avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "last_over_time"),
    }
)
"""Functions of a selector with a range."""
NUMBER_FUNCTIONS = frozenset({"abs", "ceil", "floor", "sqrt", "exp", "ln", "log2", "log10", "clamp_min", "clamp_max"})
"""Functions of a vector, and of a number after it."""
AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count", "quantile", "topk", "bottomk"})
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
SETS = frozenset({"and", "or", "unless"})


class UnsupportedPromql(OperationFailed):
    """An expression is outside of the subset, or no PromQL; the message says what, and what to write."""


@value_object
class LabelMatcher:
    """Matches series by a label; `=~` and `!~` match whole values by a regular expression. A missing label is empty."""

    name: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    @property
    def is_regex(self) -> bool:
        """Whether the value is a regular expression."""
        return self.operator in ("=~", "!~")


@value_object
class SeriesSelector:
    """Selects series by name and labels, `offset` nanoseconds ago; `range` is 0 for the latest value."""

    name: str
    matchers: tuple[LabelMatcher, ...]
    range: int = 0
    offset: int = 0


@value_object
class NumberConstant:
    """A number."""

    value: float


@value_object
class FunctionCall:
    """A call of a function."""

    name: str
    arguments: "tuple[Expression, ...]"


@value_object
class SeriesAggregation:
    """Aggregates series by the labels given, or without them."""

    function: str
    operand: "Expression"
    parameter: float
    labels: tuple[str, ...]
    without: bool


@value_object
class BinaryOperation:
    """Combines two operands; series match by `labels` only, by all others (`ignoring`), or by all if it is None."""

    operator: str
    left: "Expression"
    right: "Expression"
    labels: tuple[str, ...] | None = None
    ignoring: bool = False
    as_bool: bool = False


Expression: TypeAlias = SeriesSelector | NumberConstant | FunctionCall | SeriesAggregation | BinaryOperation


def selectors_of(expression: Expression) -> Iterator[SeriesSelector]:
    """Yield the selectors of an expression, repeatedly if they occur repeatedly."""
    match expression:
        case SeriesSelector():
            yield expression
        case FunctionCall():
            for argument in expression.arguments:
                yield from selectors_of(argument)
        case SeriesAggregation():
            yield from selectors_of(expression.operand)
        case BinaryOperation():
            yield from selectors_of(expression.left)
            yield from selectors_of(expression.right)


def farthest_of(selectors: Sequence[SeriesSelector], lookback: int) -> int:
    """Return how many nanoseconds before a moment its value depends on."""
    return max((each.offset + (each.range or lookback) for each in selectors), default=0)
