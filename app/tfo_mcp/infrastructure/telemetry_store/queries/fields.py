"""Queries of fields: the columns and attributes of selected records, with their commonest values."""

from collections.abc import Sequence

import duckdb

from tfo_mcp.application.ports.telemetry_query import Place, Predicate, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import FieldSummaries, FieldSummary
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql, SignalTable, Sql

_WITHOUT_VALUES = frozenset({"trace_id", "span_id", "parent_span_id"})  # every value is another


def fields(
    cursor: duckdb.DuckDBPyConnection,
    rows: Predicate | None,
    signal: Signal,
    selection: Selection,
    about: str | None,
    values: int,
    limit: int,
) -> FieldSummaries:
    """Return fields, the commonest first."""
    chosen = SelectionSql(signal, rows)
    where = chosen.selected(selection)
    ((records,),) = (f"SELECT count(*) FROM {chosen.table.source} WHERE " + where).run(cursor)
    named = Sql("") if about is None else Sql(" WHERE contains(lower(entry.key), lower(?))", (about,))
    statement = (
        "WITH selected AS (SELECT * FROM "
        + f"{chosen.table.source} WHERE "
        + where
        + f"), entries AS ({_entries(chosen.table)}), "
        "counted AS (SELECT place, entry.key AS name, entry.value AS value, count(*) AS records FROM entries"
        + named
        + " GROUP BY ALL), "
        "ranked AS (SELECT *, row_number() OVER (PARTITION BY place, name ORDER BY records DESC, value) AS rank "
        "FROM counted) "
        "SELECT place, name, CAST(sum(records) AS BIGINT), count(*), "
        f"list({{value: value, records: records}} ORDER BY rank) FILTER (WHERE rank <= {int(values)}), "
        "bool_and(try_cast(value AS DOUBLE) IS NOT NULL) "
        f"FROM ranked GROUP BY place, name ORDER BY sum(records) DESC, name LIMIT {int(limit)}"
    )
    return FieldSummaries(records, [_summary(*row) for row in statement.run(cursor)])


def _entries(table: SignalTable) -> str:
    """Return the query of all fields of selected records as places, names and values."""
    columns = ", ".join(
        f"{{key: '{name}', value: CAST({column} AS VARCHAR)}}"
        for name, column in table.columns.items()
        if name not in _WITHOUT_VALUES
    )
    return (
        f"SELECT 'attribute' AS place, unnest(map_entries({table.attributes})) AS entry FROM selected UNION ALL "
        "SELECT 'resource', unnest(map_entries(ResourceAttributes)) FROM selected UNION ALL "
        f"SELECT NULL, entry FROM (SELECT unnest([{columns}]) AS entry FROM selected) WHERE entry.value <> ''"
    )


def _summary(
    place: Place | None,
    name: str,
    records: int,
    distinct: int,
    found: "Sequence[dict[str, object]] | None",
    numeric: bool,
) -> FieldSummary:
    values = [(str(each["value"]), int(str(each["records"]))) for each in found or ()]
    return FieldSummary(name, place, records, distinct, values, numeric)
