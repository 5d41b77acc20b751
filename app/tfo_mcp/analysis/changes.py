"""Compares the features of a period with the history of the same features, and ranks the services that changed.

A feature belongs to an operation, so that another mix of requests is no change. Each is judged against its history; a
service that is often as unusual as now ranks lower. A new version or another variant of a feature flag explains what
else changed in its service, and is no change alone. Pure: knows neither a store nor a tool.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from tfo_mcp.analysis.attribution import FeatureChange, attributed
from tfo_mcp.analysis.deviations import NOISE, FeatureHistory, scarcity
from tfo_mcp.analysis.ratios import ratios_of
from tfo_mcp.analysis.shared_slowdown import shared_slowdowns
from tfo_mcp.application.ports.telemetry_store import FeatureKind, FeatureSeries
from tfo_mcp.value_objects import value_object

ANY_MESSAGE = "any message"

_KINDS: Sequence[FeatureKind] = (
    "clock",
    "self_time",
    "between",
    "errors",
    "calls",
    "child",
    "log",
    "ratio",
    "metric",
    "level",
    "value",
)
"""All kinds; equally sure changes are shown in this order."""
_MOST_VALUES = 2
"""New values of a service that are named."""
_SHARED: frozenset[FeatureKind] = frozenset({"self_time", "between"})
"""Kinds that a busy machine changes in all services."""
_OWN_PARTS: frozenset[FeatureKind] = frozenset({"metric", "level", "ratio"})
"""Kinds that have no value in a part in which they are missing; others are 0 if the operation ran."""
_Key = tuple[FeatureKind, str, str, str]


@value_object
class Cause:
    """A service that changed, with its new values, and its changes, the surest first; `score` ranks the causes."""

    service: str
    score: float
    changes: Sequence[FeatureChange]


def causes_of(now: Iterable[FeatureSeries], history: Iterable[FeatureSeries], own: range = range(1)) -> Sequence[Cause]:
    """Return the services that changed, the likeliest cause first; nothing if all is within noise.

    Args:
        now: the features of the period, in one part.
        history: the features of the parts before; parts of the period itself are left out.
        own: the numbers of the parts of the period itself.
    """
    present = list(now)
    past = [kept for series in history if (kept := _without(series, own)).parts]
    current_ratios, past_ratios = ratios_of(present, past)
    present = [*present, *_all_messages(present), *current_ratios]
    past = [*past, *_all_messages(past), *past_ratios]
    histories = _histories(present, past)
    found = _changes(present, histories)
    by_service: dict[str, list[FeatureChange]] = defaultdict(list)
    for change in attributed([change for change in found if change.feature.kind != "value"], present, past):
        by_service[change.service].append(change)
    habits = _habits({key: histories[key] for key in histories if key[0] != "value" and key[1] in by_service})
    values = _new_values(found)
    causes = [
        _cause(service, changes, values.get(service, ()), habits.get(service, ()))
        for service, changes in by_service.items()
    ]
    return sorted(causes, key=lambda cause: (-cause.score, cause.service))


def _new_values(changes: Iterable[FeatureChange]) -> Mapping[str, Sequence[FeatureChange]]:
    """Return the values that became commoner, by service: the surest operation of each value."""
    found: dict[str, dict[str, FeatureChange]] = defaultdict(dict)
    for change in sorted(changes, key=lambda change: -change.sigmas):
        if change.feature.kind == "value" and change.now > change.usual:
            found[change.service].setdefault(change.feature.subject, change)
    return {service: list(values.values())[:_MOST_VALUES] for service, values in found.items()}


def _cause(
    service: str, changes: Sequence[FeatureChange], values: Sequence[FeatureChange], habit: Sequence[float]
) -> Cause:
    """Return a service with the score of its surest change, a little for each further one, less if it is often so."""
    ranked = sorted(changes, key=_order)
    total = sum(change.score / (position + 1) ** 2 for position, change in enumerate(ranked))
    surest = max(change.sigmas for change in changes)
    return Cause(service, total * scarcity(surest, habit), [*values, *ranked])


def _order(change: FeatureChange) -> tuple[float, int, str, bool, str]:
    """Sort the surest changes first; of equally sure ones, times and failures, then calls, then messages."""
    feature = change.feature
    subject = feature.subject
    return -change.score, _KINDS.index(feature.kind), feature.operation, subject == ANY_MESSAGE, subject


def _key(series: FeatureSeries) -> _Key:
    return series.kind, series.service, series.operation, series.subject


def _without(series: FeatureSeries, own: range) -> FeatureSeries:
    if not any(part in own for part in series.parts):
        return series
    kept = [index for index, part in enumerate(series.parts) if part not in own]
    return replace(
        series,
        parts=[series.parts[index] for index in kept],
        counts=[series.counts[index] for index in kept],
        values=[series.values[index] for index in kept],
    )


def _all_messages(series: Iterable[FeatureSeries]) -> Sequence[FeatureSeries]:
    """Return the number of records per span of each operation, which many rare messages do not split."""
    records: dict[tuple[str, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    examples: dict[tuple[str, str], FeatureSeries] = {}
    counts: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for each in series:
        if each.kind == "log":
            operation = each.service, each.operation
            examples.setdefault(operation, each)
            for part, count, value in zip(each.parts, each.counts, each.values, strict=True):
                records[operation][part] += value
                counts[operation][part] = count
    return [
        replace(
            examples[operation],
            subject=ANY_MESSAGE,
            parts=list(values),
            counts=[counts[operation][part] for part in values],
            values=list(values.values()),
        )
        for operation, values in records.items()
    ]


def _histories(now: Iterable[FeatureSeries], past: Sequence[FeatureSeries]) -> Mapping[_Key, FeatureHistory]:
    """Return the histories of all features of operations that ran before, 0 in the parts where a feature is missing."""
    runs = _runs(past)
    known = {_key(series): series for series in past}
    typical = _typical(past)
    found = {}
    for key in {*known, *map(_key, now)}:
        series = known.get(key)
        values = dict(zip(series.parts, series.values, strict=True)) if series is not None else {}
        counts = dict(zip(series.parts, series.counts, strict=True)) if series is not None else {}
        if key[0] not in _OWN_PARTS:
            counts = dict(runs.get(key[1:3], {}))
            values = {part: values.get(part, 0.0) for part in counts}
        if values:
            found[key] = FeatureHistory(key[0], values, counts, typical.get(key[3], 0.0))
    return found


def _runs(series: Iterable[FeatureSeries]) -> Mapping[tuple[str, str], Mapping[int, int]]:
    """Return the spans of each operation per part."""
    return {
        (each.service, each.operation): dict(zip(each.parts, each.counts, strict=True))
        for each in series
        if each.kind == "errors"
    }


def _typical(past: Iterable[FeatureSeries]) -> Mapping[str, float]:
    """Return the usual value of each metric in the service in the middle."""
    found: dict[str, list[float]] = defaultdict(list)
    for series in past:
        if series.kind in ("metric", "level"):
            found[series.subject].append(median(series.values))
    return {metric: median(map(abs, values)) for metric, values in found.items()}


def _changes(now: Sequence[FeatureSeries], histories: Mapping[_Key, FeatureHistory]) -> Sequence[FeatureChange]:
    current = {_key(series): series for series in now}
    running = _runs(now)
    slowdowns = _slowdowns(now, histories)
    found = []
    for key, history in histories.items():
        series = current.get(key)
        count = series.counts[0] if series is not None else running.get(key[1:3], {}).get(0, 0)
        if not count or (series is None and key[0] in _OWN_PARTS):
            continue
        value = series.values[0] if series is not None else 0.0
        sigmas = history.sigmas(value, count) * history.rarity(value)
        if sigmas >= NOISE:
            feature = series or FeatureSeries(*key, (0,), (count,), (0.0,), "")
            own = value / slowdowns.get(key[1], 1.0) if key[0] in _SHARED else value
            score = min(sigmas, history.sigmas(own, count) * history.rarity(value))
            found.append(FeatureChange(feature, key[1], history.usual, value, count, sigmas, score, feature.trace_id))
    return found


def _slowdowns(now: Iterable[FeatureSeries], histories: Mapping[_Key, FeatureHistory]) -> Mapping[str, float]:
    """Return by which factor the other services of each service are slower."""
    return shared_slowdowns(
        (series.service, histories[_key(series)].usual, series.values[0])
        for series in now
        if series.kind == "self_time" and _key(series) in histories
    )


def _habits(histories: Mapping[_Key, FeatureHistory]) -> Mapping[str, Sequence[float]]:
    """Return, per service, the sigmas of the most unusual feature in each part of the history."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for (_kind, service, _operation, _subject), history in histories.items():
        own = found[service]
        for part, sigmas in history.past():
            own[part] = max(own.get(part, 0.0), sigmas)
    return {service: list(own.values()) for service, own in found.items()}
