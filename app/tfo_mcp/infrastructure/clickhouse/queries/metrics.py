"""Queries of metrics: their list."""

from collections.abc import Mapping, Sequence

from tfo_mcp.application.ports.telemetry_query import Selection, Signal
from tfo_mcp.application.ports.telemetry_store import MetricSummary
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind
from tfo_mcp.infrastructure.clickhouse.view import View

_TEMPORALITIES: Mapping[int, str] = {1: "delta", 2: "cumulative"}


async def metrics(view: View, selection: Selection, about: str | None, limit: int) -> Sequence[MetricSummary]:
    """Return metrics, the most points first."""
    named = SqlPart("") if about is None else " AND positionCaseInsensitiveUTF8(MetricName, " + bind(about) + ") > 0"
    statement = (
        "SELECT MetricName, Kind, MetricUnit, any(MetricDescription), Temporality, max(Monotonic), "
        "arraySort(groupUniqArray(ServiceName)), count()"
        + view.records(Signal.METRICS).selected(selection)
        + named
        + f" GROUP BY MetricName, Kind, MetricUnit, Temporality ORDER BY count() DESC, MetricName LIMIT {int(limit)}"
    )
    return [
        MetricSummary(
            name, kind, unit, description, _TEMPORALITIES.get(temporality, ""), bool(monotonic), services, count
        )
        for name, kind, unit, description, temporality, monotonic, services, count in await view.ask(statement)
    ]
