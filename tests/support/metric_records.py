"""Metrics of all kinds for tests, as OTLP in JSON, and series of the telemetry port.

Points are written short: times in seconds after `START`. Knows no receiver.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.support.processes import NO_TLS
from tests.support.telemetry_records import START
from tfo_mcp.application.ports.telemetry_metrics import MetricKind, MetricSeries, PointValue, Temporality

SECOND = 1_000_000_000
_NUMBERS: Mapping[Temporality, int] = {"": 0, "delta": 1, "cumulative": 2}


def at(seconds: float) -> int:
    """Return a time after `START` in nanoseconds."""
    return START + round(seconds * SECOND)


def series(
    kind: MetricKind,
    points: Sequence[tuple[float, PointValue]],
    temporality: Temporality = "",
    *,
    start: float | None = None,
    monotonic: bool = True,
    **attributes: str,
) -> MetricSeries:
    """Return a series `m` of the service `shop`; points count from `start`, those of a delta from the one before."""
    times = [at(time) for time, _ in points]
    known = 0 if start is None else at(start)
    starts = [known, *times[:-1]] if temporality == "delta" else [known] * len(times)
    values = [value for _, value in points]
    return MetricSeries("m", kind, "1", temporality, monotonic, "shop", attributes, {}, times, starts, values)


def metric(
    name: str,
    kind: str,
    points: Sequence[Mapping[str, Any]],
    temporality: Temporality = "",
    *,
    monotonic: bool | None = None,
    unit: str = "",
) -> Mapping[str, Any]:
    """Return a metric; `kind` is OTLP's, such as exponentialHistogram."""
    data: dict[str, Any] = {"dataPoints": list(points)}
    if temporality:
        data["aggregationTemporality"] = _NUMBERS[temporality]
    if monotonic is not None:
        data["isMonotonic"] = monotonic
    return {"name": name, "unit": unit, kind: data}


def point(
    time: float, *, start: float | None = None, attributes: Mapping[str, str] | None = None, **values: Any
) -> Mapping[str, Any]:
    """Return a point with the fields of its kind, such as `asDouble`."""
    found = {"timeUnixNano": str(at(time)), "attributes": _attributes(attributes or {}), **values}
    return found if start is None else {**found, "startTimeUnixNano": str(at(start))}


def exemplar(time: float, value: float, trace_id: str) -> Mapping[str, Any]:
    """Return an exemplar."""
    return {"timeUnixNano": str(at(time)), "asDouble": value, "traceId": trace_id, "spanId": "1".rjust(16, "0")}


def send_metrics(base_url: str, resource: Mapping[str, str], metrics: Sequence[Mapping[str, Any]]) -> None:
    """Send metrics of a program, and wait until they are acknowledged."""
    body = {
        "resourceMetrics": [
            {"resource": {"attributes": _attributes(resource)}, "scopeMetrics": [{"metrics": list(metrics)}]}
        ]
    }
    response = httpx.post(f"{base_url}/v1/metrics", json=body, verify=NO_TLS, timeout=60)
    assert response.status_code == 200, response.text
    assert not response.json().get("partialSuccess"), response.text


def _attributes(attributes: Mapping[str, str]) -> list[Mapping[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
