"""By how much the services besides one have become slower: what a busy machine or network does to all of them.

A slowdown that the others share says little about where a fault begins, so that only the excess ranks a service. It is
the median over the other services, each with the median of its operations: a fault in a few services does not move it.
Pure: knows neither how unusual a duration is nor a store.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import exp, log
from statistics import median

_FEWEST_OTHERS = 2
_LEAST = 1e5
"""Nanoseconds: shorter durations are equal."""


def shared_slowdowns(durations: Iterable[tuple[str, float, float]]) -> Mapping[str, float]:
    """Return the factor of at least 1 by which the other services are slower; 1 where fewer than two are known.

    Args:
        durations: the service of each operation, its usual own time and that of the period, in nanoseconds.
    """
    changes: dict[str, list[float]] = defaultdict(list)
    for service, usual, now in durations:
        changes[service].append(log(max(now, _LEAST) / max(usual, _LEAST)))
    services = {service: median(own) for service, own in changes.items()}
    return {
        service: _factor([change for other, change in services.items() if other != service]) for service in services
    }


def _factor(others: list[float]) -> float:
    return exp(max(0.0, median(others))) if len(others) >= _FEWEST_OTHERS else 1.0
