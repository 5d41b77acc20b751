"""Queries of metrics: their list."""

from collections.abc import Mapping, Sequence

import duckdb

from tfo_mcp.application.ports.telemetry_query import Predicate, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import MetricSummary
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql, Sql

_TEMPORALITIES: Mapping[int, str] = {1: "delta", 2: "cumulative"}


def metrics(
    cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, selection: Selection, about: str | None, limit: int
) -> Sequence[MetricSummary]:
    """Return metrics, the most points first."""
    points = SelectionSql(Signal.METRICS, rows)
    named = Sql("") if about is None else Sql(" AND contains(lower(MetricName), lower(?))", (about,))
    statement = (
        "SELECT MetricName, Kind, MetricUnit, any_value(MetricDescription), Temporality, bool_or(Monotonic), "
        f"list_sort(list(DISTINCT ServiceName)), count(*) FROM {points.table.source} WHERE "
        + points.selected(selection)
        + named
        + f" GROUP BY MetricName, Kind, MetricUnit, Temporality ORDER BY count(*) DESC, MetricName LIMIT {int(limit)}"
    )
    return [
        MetricSummary(name, kind, unit, description, _TEMPORALITIES.get(temporality, ""), monotonic, services, count)
        for name, kind, unit, description, temporality, monotonic, services, count in statement.run(cursor)
    ]
