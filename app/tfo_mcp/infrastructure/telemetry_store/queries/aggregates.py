"""Queries of measures per group of records and per part of the window."""

from collections.abc import Sequence

import duckdb

from tfo_mcp.application.ports.telemetry_query import FieldName, Measure, Predicate, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import Aggregate, AggregateRow
from tfo_mcp.infrastructure.telemetry_store.queries.sql import SelectionSql, Sql, joined, measured


def aggregate(
    cursor: duckdb.DuckDBPyConnection,
    rows: Predicate | None,
    signal: Signal,
    selection: Selection,
    measures: Sequence[Measure],
    by: Sequence[FieldName],
    every: int | None,
    limit: int,
) -> Aggregate:
    """Return the measures of the largest groups, and of the remaining records."""
    query = _GroupQuery(SelectionSql(signal, rows), selection, measures, by, every)
    groups = query.groups(cursor)
    largest = query.largest(cursor, limit)
    rest = query.rest(cursor, limit) if groups > limit else []
    return Aggregate(largest, rest, groups)


class _GroupQuery:
    """The statements of one aggregate; all begin with the same records."""

    def __init__(
        self,
        chosen: SelectionSql,
        selection: Selection,
        measures: Sequence[Measure],
        by: Sequence[FieldName],
        every: int | None,
    ) -> None:
        fields = [chosen.text_of(field) + f" AS g{index}" for index, field in enumerate(by)]
        numbers = [
            (Sql("NULL::DOUBLE") if measure.field is None else chosen.number_of(measure.field)) + f" AS v{index}"
            for index, measure in enumerate(measures)
        ]
        start, table = selection.window.start, chosen.table
        part = (
            "NULL" if every is None else f"((epoch_ns({table.time}) - {start}) // {every} * {every} + {start})::BIGINT"
        )
        columns = [*fields, Sql(f"{part} AS part"), Sql(f"{table.error} AS is_error"), *numbers]
        self._records = (
            "WITH records AS (SELECT "
            + joined(", ", columns)
            + f" FROM {table.source} WHERE "
            + chosen.selected(selection)
            + ")"
        )
        self._keys = [f"g{index}" for index in range(len(by))]
        measured_columns = [measured(measure, f"v{index}") for index, measure in enumerate(measures)]
        self._measures, self._first = ", ".join(measured_columns), measured_columns[0]
        self._parts = "" if every is None else "GROUP BY part ORDER BY part"

    def groups(self, cursor: duckdb.DuckDBPyConnection) -> int:
        """Return the number of groups."""
        keys = (
            f"SELECT DISTINCT {', '.join(self._keys)} FROM records" if self._keys else "SELECT 1 FROM records LIMIT 1"
        )
        ((count,),) = (self._records + f" SELECT count(*) FROM ({keys})").run(cursor)
        return int(count)

    def largest(self, cursor: duckdb.DuckDBPyConnection, limit: int) -> Sequence[AggregateRow]:
        """Return the rows of the largest groups."""
        if not self._keys:
            return self._whole(
                self._records + f" SELECT any_value(part), {self._measures} FROM records {self._parts}", cursor
            )
        keys = ", ".join(self._keys)
        statement = (
            self._records
            + f", top AS ({self._top(limit)}) SELECT {keys}, part, {self._measures} FROM records JOIN top "
            f"ON {self._same()} GROUP BY {keys}, part ORDER BY any_value(rank), part"
        )
        size = len(self._keys)
        return [AggregateRow(tuple(row[:size]), row[size], tuple(row[size + 1 :])) for row in statement.run(cursor)]

    def rest(self, cursor: duckdb.DuckDBPyConnection, limit: int) -> Sequence[AggregateRow]:
        """Return the rows of the records outside of the largest groups."""
        statement = (
            self._records
            + f", top AS ({self._top(limit)}) SELECT any_value(part), {self._measures} FROM records ANTI JOIN top "
            f"ON {self._same()} {self._parts}"
        )
        return self._whole(statement, cursor)

    def _top(self, limit: int) -> str:
        """Return the query of the largest groups by the first measure; equals by their keys."""
        keys = ", ".join(self._keys)
        renamed = ", ".join(f"{key} AS top_{key}" for key in self._keys)
        order = f"ORDER BY {self._first} DESC NULLS LAST, {keys}"
        return (
            f"SELECT {renamed}, row_number() OVER ({order}) AS rank FROM records GROUP BY {keys} "
            f"QUALIFY rank <= {int(limit)}"
        )

    def _same(self) -> str:
        return " AND ".join(f"{key} IS NOT DISTINCT FROM top_{key}" for key in self._keys)

    def _whole(self, statement: Sql, cursor: duckdb.DuckDBPyConnection) -> Sequence[AggregateRow]:
        return [AggregateRow((), row[0], tuple(row[1:])) for row in statement.run(cursor)]
