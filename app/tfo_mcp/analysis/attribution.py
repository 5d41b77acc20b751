"""Attributes changes of features to the services where they begin.

The time between two services belongs to either end, and goes to the one of which a greater part of the durations
changed; so do two clocks that differ, by the clocks that either end is compared with. A change in a caller that its
callee explains is discounted, and so is a level, such as that of open requests, if a callee of its service changed.
Pure: knows neither a store nor a tool.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tfo_mcp.application.ports.telemetry_store import FeatureKind, FeatureSeries
from tfo_mcp.value_objects import value_object

_EXPLAINED, _EXPLAINING = 0.3, 0.5
_PLACED_BY: Mapping[FeatureKind, frozenset[FeatureKind]] = {
    "between": frozenset({"self_time", "between"}),
    "clock": frozenset({"clock"}),
}
"""The kinds that belong to two services, with the kinds by which they are attributed to one of them."""

Callees = Mapping[str, frozenset[str]]
"""The operations that an operation calls, by its name."""


@value_object
class FeatureChange:
    """A feature that changed: its usual value and its value now, and how unusual that is in sigmas.

    `service` is where the change is attributed, `count` are the spans of the operation in the period, `trace_id` is one
    of them, `score` the sigmas without what other services share, after attribution.
    """

    feature: FeatureSeries
    service: str
    usual: float
    now: float
    count: int
    sigmas: float
    score: float
    trace_id: str


def attributed(
    changes: Iterable[FeatureChange], now: Iterable[FeatureSeries], history: Iterable[FeatureSeries]
) -> Sequence[FeatureChange]:
    """Return changes with the services and scores that attribution gives them."""
    present = list(now)
    callees = _callees([*present, *history])
    return _discounted(_placed(list(changes), present, callees), callees)


def operation_name(series: FeatureSeries) -> str:
    """Return the name that an operation has as the child of another one."""
    return f"{series.service}: {series.operation}"


def _placed(
    changes: Sequence[FeatureChange], present: Iterable[FeatureSeries], callees: Callees
) -> Sequence[FeatureChange]:
    shares = {kind: _parts_changed(changes, present, kinds, callees) for kind, kinds in _PLACED_BY.items()}
    return [
        replace(change, service=_likelier_end(change.feature, shares[change.feature.kind], callees))
        if change.feature.kind in shares
        else change
        for change in changes
    ]


def _parts_changed(
    changes: Iterable[FeatureChange], present: Iterable[FeatureSeries], kinds: frozenset[FeatureKind], callees: Callees
) -> Mapping[str, float]:
    """Return the part of the durations of these kinds that changed, by service."""
    measured = _durations((series for series in present if series.kind in kinds), callees)
    changed = _durations((change.feature for change in changes if change.feature.kind in kinds), callees)
    return {service: len(changed[service]) / max(1, len(measured.get(service, ()))) for service in changed}


def _likelier_end(series: FeatureSeries, parts: Mapping[str, float], callees: Callees) -> str:
    return max(_ends(series, callees), key=lambda service: parts.get(service, 0.0))


def _durations(series: Iterable[FeatureSeries], callees: Callees) -> Mapping[str, set[tuple[str, ...]]]:
    """Return the durations of each service: its operations, and the services on the other end of its calls."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for each in series:
        ends = _ends(each, callees)
        for service in ends:
            found[service].add(tuple(ends) if each.kind in _PLACED_BY else (each.service, each.operation, ""))
    return found


def _ends(series: FeatureSeries, callees: Callees) -> Sequence[str]:
    """Return the services to which a duration may belong: its own one first."""
    called = callees.get(operation_name(series), frozenset()) if series.kind in _PLACED_BY else ()
    return [series.service, *sorted({name.partition(": ")[0] for name in called} - {series.service})]


def _discounted(changes: Sequence[FeatureChange], callees: Callees) -> Sequence[FeatureChange]:
    """Discount the changes of operations that call, at any depth, an operation of another service that changed too."""
    strongest: dict[str, float] = defaultdict(float)
    for change in changes:
        name = operation_name(change.feature)
        strongest[name] = max(strongest[name], change.score)
    found = []
    for change in changes:
        below = _explaining(change.feature, callees)
        others = (name for name in below if not name.startswith(f"{change.service}: "))
        deeper = max((strongest.get(name, 0.0) for name in others), default=0.0)
        if change.feature.kind == "level" and deeper:
            found.append(replace(change, score=min(change.score, deeper) * _EXPLAINED))
        elif deeper >= _EXPLAINING * change.score:
            found.append(replace(change, score=change.score * _EXPLAINED))
        else:
            found.append(change)
    return found


def _explaining(series: FeatureSeries, callees: Callees) -> set[str]:
    """Return the operations that may explain a change: those below its operation, of a level those below its service.

    Requests stay open for as long as what they call takes.
    """
    if series.kind != "level":
        return _below(operation_name(series), callees)
    beginning = operation_name(series)
    return {each for name in callees if name.startswith(beginning) for each in _below(name, callees)}


def _callees(series: Iterable[FeatureSeries]) -> Callees:
    found: dict[str, set[str]] = defaultdict(set)
    for each in series:
        if each.kind == "child":
            found[operation_name(each)].add(each.subject)
    return {name: frozenset(children) for name, children in found.items()}


def _below(name: str, callees: Callees) -> set[str]:
    reached: set[str] = set()
    pending = [name]
    while pending:
        new = callees.get(pending.pop(), frozenset()) - reached
        reached |= new
        pending += new
    return reached - {name}
