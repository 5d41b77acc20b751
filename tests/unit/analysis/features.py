"""Series of features for the unit tests of comparison."""

from collections.abc import Sequence

from tfo_mcp.application.ports.telemetry_store import FeatureKind, FeatureSeries

PARTS = range(-12, 0)
"""The parts of a history."""


def series(
    kind: FeatureKind,
    values: Sequence[float],
    service: str = "stock",
    operation: str = "GET",
    subject: str = "",
    n: int = 40,
) -> FeatureSeries:
    """Return a history of 12 values, or the only value of a period."""
    parts = list(PARTS) if len(values) > 1 else [0]
    return FeatureSeries(kind, service, operation, subject, parts, [n] * len(values), list(values), "a" * 32)


def steady(
    kind: FeatureKind, value: float, service: str = "stock", operation: str = "GET", subject: str = ""
) -> FeatureSeries:
    """Return a history without any change."""
    return series(kind, [value] * len(PARTS), service, operation, subject)
