"""Queries of measures per group of records and per part of the window."""

from collections.abc import Sequence
from typing import Any

from tfo_mcp.application.ports.telemetry_query import FieldName, Measure, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import Aggregate, AggregateRow
from tfo_mcp.infrastructure.clickhouse.selections import measured
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind, joined, nanoseconds
from tfo_mcp.infrastructure.clickhouse.view import View

Key = tuple[str | None, ...]


async def aggregate(
    view: View,
    signal: Signal,
    selection: Selection,
    measures: Sequence[Measure],
    by: Sequence[FieldName],
    every: int | None,
    limit: int,
) -> Aggregate:
    """Return the measures of the largest groups, and of the remaining records."""
    query = _GroupQuery(view, signal, selection, measures, by, every)
    if not by:
        rows = await query.whole(SqlPart("1"))
        return Aggregate(rows, [], 1 if await query.is_any() else 0)
    found = await view.ask(query.largest(limit))
    groups = int(found[0][-1]) if found else 0
    keys = [tuple(row[: len(by)]) for row in found]
    if every is None:
        rows = [AggregateRow(key, None, tuple(row[len(by) : -1])) for key, row in zip(keys, found, strict=True)]
    else:
        rows = await query.parts(keys)
    rest = await query.whole(query.outside(keys)) if groups > limit else []
    return Aggregate(rows, rest, groups)


class _GroupQuery:
    """The statements of one aggregate; all begin with the same records."""

    def __init__(
        self,
        view: View,
        signal: Signal,
        selection: Selection,
        measures: Sequence[Measure],
        by: Sequence[FieldName],
        every: int | None,
    ) -> None:
        self._view = view
        records = view.records(signal)
        fields = [records.text_of(field) + f" AS g{index}" for index, field in enumerate(by)]
        numbers = [
            (SqlPart("CAST(NULL, 'Nullable(Float64)')") if measure.field is None else records.number_of(measure.field))
            + f" AS v{index}"
            for index, measure in enumerate(measures)
        ]
        start = int(selection.window.start)
        since = f"({nanoseconds(records.columns.time)} - {start})"
        part = "NULL" if every is None else f"intDiv({since}, {int(every)}) * {int(every)} + {start}"
        columns = [*fields, SqlPart(f"{part} AS part"), SqlPart(f"{records.columns.error} AS is_error"), *numbers]
        self._records = " FROM (SELECT " + joined(", ", columns) + records.selected(selection) + ")"
        self._keys = [f"g{index}" for index in range(len(by))]
        self._measured = [measured(measure, f"v{index}") for index, measure in enumerate(measures)]
        self._measures = ", ".join(self._measured)
        self._every = every

    def largest(self, limit: int) -> SqlPart:
        """Return the statement of the largest groups by the first measure, equals by their keys, and their number."""
        keys = ", ".join(self._keys)
        order = f"ORDER BY {self._measured[0]} DESC NULLS LAST, {keys}"
        return (
            f"SELECT {keys}, {self._measures}, count() OVER ()"
            + self._records
            + f" GROUP BY {keys} {order} LIMIT {int(limit)}"
        )

    async def is_any(self) -> bool:
        """Return whether there is a record."""
        return bool(await self._view.ask("SELECT 1" + self._records + " LIMIT 1"))

    async def parts(self, keys: Sequence[Key]) -> Sequence[AggregateRow]:
        """Return the rows of these groups per part, in the order of the groups."""
        names = ", ".join(self._keys)
        statement = (
            f"SELECT {names}, part, {self._measures}"
            + self._records
            + " WHERE "
            + self._inside(keys)
            + f" GROUP BY {names}, part ORDER BY part"
        )
        size = len(self._keys)
        found = [
            AggregateRow(tuple(row[:size]), row[size], tuple(row[size + 1 :]))
            for row in await self._view.ask(statement)
        ]
        ranks = {key: rank for rank, key in enumerate(keys)}
        return sorted(found, key=lambda row: ranks[row.group])

    async def whole(self, condition: SqlPart) -> Sequence[AggregateRow]:
        """Return the rows of the records that match, as one group."""
        parts = "" if self._every is None else " GROUP BY part ORDER BY part"
        part = "NULL" if self._every is None else "part"
        statement = f"SELECT {part}, {self._measures}" + self._records + " WHERE " + condition + parts
        found: Sequence[Sequence[Any]] = await self._view.ask(statement)
        return [AggregateRow((), row[0], tuple(row[1:])) for row in found]

    def outside(self, keys: Sequence[Key]) -> SqlPart:
        """Return the condition of the records that are in none of these groups."""
        return "NOT " + self._inside(keys)

    def _inside(self, keys: Sequence[Key]) -> SqlPart:
        groups = [joined(" AND ", [self._equal(*pair) for pair in zip(self._keys, key, strict=True)]) for key in keys]
        return "(" + joined(" OR ", ["(" + group + ")" for group in groups]) + ")" if groups else SqlPart("0")

    def _equal(self, name: str, value: str | None) -> SqlPart:
        return SqlPart(f"isNull({name})") if value is None else f"ifNull({name} = " + bind(value) + ", 0)"
