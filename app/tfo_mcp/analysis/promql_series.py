"""Stored metrics under the names and labels that Prometheus gives them (its translation of OpenTelemetry).

`http.server.request.duration` in `s` is also `http_server_request_duration_seconds`, with `_bucket`, `_sum` and
`_count` of histograms and `_total` of counters. Dots of labels become underscores; `job` is the service. Delta series
are added up. Knows no expressions.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf

from tfo_mcp.analysis.increments import timed_points
from tfo_mcp.analysis.promql import LabelMatcher, UnsupportedPromql
from tfo_mcp.application.ports.telemetry_metrics import (
    ExponentialPoint,
    HistogramPoint,
    MetricSeries,
    PointValue,
    SummaryPoint,
)
from tfo_mcp.application.ports.telemetry_query import (
    AllOf,
    AnyOf,
    Comparison,
    FieldName,
    Negation,
    Predicate,
    Presence,
)
from tfo_mcp.application.ports.telemetry_store import MetricSummary
from tfo_mcp.value_objects import value_object

LabelPairs = tuple[tuple[str, str], ...]
"""Labels with their values, sorted by name."""
_PARTS = ("_bucket", "_sum", "_count")
_UNITS: Mapping[str, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "min": "minutes",
    "h": "hours",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "%": "percent",
    "1": "ratio",
    "Cel": "celsius",
    "V": "volts",
}
_MAX_PATTERN = 1000
_INVALID = re.compile(r"[^a-zA-Z0-9_:]")


@value_object
class SampledSeries:
    """A series as Prometheus has it: labels, and values at times."""

    labels: LabelPairs
    times: Sequence[int]
    values: Sequence[float]


@value_object
class NamedPart:
    """The metric that a name of Prometheus stands for, and the part of it: empty, `_bucket`, `_sum` or `_count`."""

    metric: str
    part: str


def part_named(name: str, metrics: Iterable[MetricSummary]) -> NamedPart | None:
    """Return what a name stands for among metrics, None if it is none of them; OpenTelemetry's own names count too."""
    parts = {each: part for each, part in ((name.removesuffix(part), part) for part in _PARTS) if each != name}
    for metric in metrics:
        names = _names(metric)
        if name in names:
            return NamedPart(metric.name, "")
        for base, part in parts.items():
            if base in names and metric.kind in ("histogram", "exponential_histogram", "summary"):
                return NamedPart(metric.name, part)
    return None


def sampled(series: MetricSeries, part: str) -> Iterator[SampledSeries]:
    """Yield the series of a part.

    Raises:
        UnsupportedPromql: the metric has no such part.
    """
    points = list(timed_points(series))
    times = [point.time for point in points]
    labels = labels_of(series)
    for further, values in _columns(series, part, [point.value for point in points]):
        whole = list(accumulate(values)) if series.temporality == "delta" else list(values)
        yield SampledSeries(tuple(sorted({**labels, **further}.items())), times, whole)


def labels_of(series: MetricSeries) -> Mapping[str, str]:
    """Return the labels of a series: its resource's attributes, its own, and the service as service_name and job."""
    own = {valid_name(name): value for labels in (series.resource, series.attributes) for name, value in labels.items()}
    return {"job": series.service, **own, "service_name": series.service}


def matching(series: Iterable[SampledSeries], matchers: Sequence[LabelMatcher]) -> Iterator[SampledSeries]:
    """Yield the series that the matchers without a regular expression match; the store applies the others."""
    equalities = [(valid_name(each.name), each.value, each.operator == "=") for each in matchers if not each.is_regex]
    for one in series:
        labels = dict(one.labels)
        if all((labels.get(name, "") == value) == wanted for name, value, wanted in equalities):
            yield one


def predicate_of(matchers: Sequence[LabelMatcher], fields: Iterable[str]) -> Predicate | None:
    """Return the predicate of the regular expressions, None without any.

    Args:
        fields: names of the attributes that the series have.

    Raises:
        UnsupportedPromql: the label is none that programs choose, or the expression is invalid.
    """
    known = [*fields, "service.name"]
    found = []
    for matcher in matchers:
        if not matcher.is_regex:
            continue
        wanted = valid_name(matcher.name)
        if wanted in ("le", "quantile"):
            raise UnsupportedPromql(f"Regular expressions of {wanted} are not supported: use =")
        names = ["service.name"] if wanted == "job" else [name for name in known if valid_name(name) == wanted]
        pattern = f"(?-i)^(?:{matcher.value})$"
        tests: list[Predicate] = [Comparison(FieldName(name), "~", pattern) for name in dict.fromkeys(names)]
        if _matches_nothing(matcher):
            tests.append(AllOf(tuple(Negation(Presence(FieldName(name))) for name in names)))
        found.append(AnyOf(tuple(tests)) if matcher.operator == "=~" else Negation(AnyOf(tuple(tests))))
    return AllOf(tuple(found)) if found else None


def _matches_nothing(matcher: LabelMatcher) -> bool:
    """Return whether an expression matches the empty text, which a missing label is."""
    if len(matcher.value) > _MAX_PATTERN:
        raise UnsupportedPromql(f"A regular expression of a label has more than {_MAX_PATTERN} characters")
    try:
        return re.compile(matcher.value).fullmatch("") is not None
    except (re.error, OverflowError, RecursionError) as problem:
        raise UnsupportedPromql(f"The regular expression of {matcher.name} is invalid: {problem}") from None


def valid_name(name: str) -> str:
    """Return the name that a label has in Prometheus."""
    return _INVALID.sub("_", name)


def _names(metric: MetricSummary) -> set[str]:
    plain = valid_name(metric.name)
    unit = _UNITS.get(metric.unit, "")
    names = {metric.name, plain, f"{plain}_{unit}" if unit and not plain.endswith(f"_{unit}") else plain}
    return names | {f"{each}_total" for each in names} if metric.kind == "sum" and metric.monotonic else names


def _columns(
    series: MetricSeries, part: str, points: Sequence[PointValue]
) -> Iterator[tuple[Mapping[str, str], list[float]]]:
    """Yield the values of each series of a part, with the labels that tell them apart."""
    if part in ("_sum", "_count"):
        counted = [each for each in points if isinstance(each, HistogramPoint | ExponentialPoint | SummaryPoint)]
        yield {}, [float((each.total or 0) if part == "_sum" else each.count) for each in counted]
    elif part == "_bucket" and series.kind == "histogram":
        yield from _buckets([each for each in points if isinstance(each, HistogramPoint)])
    elif not part and series.kind == "summary":
        yield from _quantiles([each for each in points if isinstance(each, SummaryPoint)])
    elif not part and series.kind in ("gauge", "sum"):
        yield {}, [each for each in points if isinstance(each, int | float)]
    else:
        parts = "_bucket, _sum and _count" if series.kind == "histogram" else "_sum and _count"
        raise UnsupportedPromql(
            f"{series.name} ({series.kind.replace('_', ' ')}) has {parts} in PromQL. Give `metric` for its quantiles."
        )


def _buckets(points: Sequence[HistogramPoint]) -> Iterator[tuple[Mapping[str, str], list[float]]]:
    bounds = points[-1].bounds if points else ()
    rising = [list(accumulate(each.counts)) for each in points]
    if any(each.bounds != bounds or len(each.counts) != len(bounds) + 1 for each in points):
        raise UnsupportedPromql("The histogram changed its bounds in the period. Give `metric` for its quantiles.")
    for index, bound in enumerate([*bounds, inf]):
        yield {"le": "+Inf" if bound == inf else f"{bound:g}"}, [float(each[index]) for each in rising]


def _quantiles(points: Sequence[SummaryPoint]) -> Iterator[tuple[Mapping[str, str], list[float]]]:
    known = dict(points[-1].quantiles) if points else {}
    for quantile in known:
        yield {"quantile": f"{quantile:g}"}, [dict(each.quantiles).get(quantile, float("nan")) for each in points]
