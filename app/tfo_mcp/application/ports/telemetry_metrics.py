"""Points of metrics, as a telemetry store returns them: series with their points and exemplars.

Owns the records. Rates, resets, quantiles and sums over series belong to `tfo_mcp.analysis`. Knows neither an engine
nor OTLP. Times are nanoseconds since 1970.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from tfo_mcp.value_objects import value_object

MetricKind = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
Temporality = Literal["", "delta", "cumulative"]
"""Empty for gauges and summaries, and if the sender did not say."""


@value_object
class HistogramPoint:
    """A point of a histogram: `counts[n]` values above `bounds[n - 1]` and up to `bounds[n]`; the last has no bound.

    `counts` is empty if the sender keeps no buckets; `total`, `least` and `most` are None if it does not report them.
    """

    count: int
    total: float | None
    least: float | None
    most: float | None
    bounds: Sequence[float]
    counts: Sequence[int]


@value_object
class ExponentialPoint:
    """A point of an exponential histogram.

    `positive[n]` values are above `base ** (positive_offset + n)` and up to `base` times that, with a base of
    `2 ** (2 ** -scale)`; `negative` are their mirror image. `zeros` values are within `zero_threshold` of zero.
    """

    count: int
    total: float | None
    least: float | None
    most: float | None
    scale: int
    zeros: int
    zero_threshold: float
    positive_offset: int
    positive: Sequence[int]
    negative_offset: int
    negative: Sequence[int]


@value_object
class SummaryPoint:
    """A point of a summary: quantiles (0 to 1) and their values, computed by the sender."""

    count: int
    total: float
    quantiles: Sequence[tuple[float, float]]


PointValue: TypeAlias = float | HistogramPoint | ExponentialPoint | SummaryPoint | None
"""Of gauges and sums a number, None at the end of a series."""


@value_object
class ExemplarValue:
    """A measured value with the span in which it was measured."""

    value: float
    time: int
    trace_id: str
    span_id: str


@value_object
class MetricSeries:
    """The points of one series by time: at `times[n]` the value `points[n]`, which counts from `starts[n]` (or 0).

    `attributes` are those of the points. `exemplars` are the largest few that have a trace.
    """

    name: str
    kind: MetricKind
    unit: str
    temporality: Temporality
    monotonic: bool
    service: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]
    times: Sequence[int]
    starts: Sequence[int]
    points: Sequence[PointValue]
    exemplars: Sequence[ExemplarValue] = ()


@value_object
class MetricPoints:
    """The series of a metric, and the number of their values; no series if that is beyond the limit of the query."""

    series: Sequence[MetricSeries]
    total: int
