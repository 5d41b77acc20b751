"""The port of a metric service outside of this server: queried by PromQL, without records of its own for callers.

Knows neither an API nor a product. Times are nanoseconds since 1970.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tfo_mcp.value_objects import value_object


@value_object
class LabelledValues:
    """A series of a result: labels, and values at some of the times asked for."""

    labels: Mapping[str, str]
    times: Sequence[int]
    values: Sequence[float]


class MetricService(Protocol):
    """Queries of metrics.

    The methods raise OperationFailed with a message for the caller if the service refuses, is too slow, answers too
    much or cannot be reached.
    """

    @property
    def place(self) -> str:
        """The host of the service, for the caller."""

    async def query_range(self, promql: str, start: int, end: int, step: int) -> Sequence[LabelledValues]:
        """Return the values of an expression from `start` to `end`, both included, every `step` nanoseconds."""

    async def names(self, start: int, end: int, pattern: str | None = None) -> Sequence[str]:
        """Return the names of the metrics that match a whole regular expression (RE2), sorted."""

    async def type_of(self, metric: str) -> str:
        """Return `counter`, `gauge`, `histogram` or `summary` as declared; empty if it is not known."""
