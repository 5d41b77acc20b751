"""Queries of fields: the columns and attributes of selected records, with their commonest values."""

from collections.abc import Sequence

from tfo_mcp.application.ports.telemetry_query import Place, Selection, Signal
from tfo_mcp.application.ports.telemetry_store import FieldSummaries, FieldSummary
from tfo_mcp.infrastructure.clickhouse.selections import Records
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind
from tfo_mcp.infrastructure.clickhouse.view import View

_WITHOUT_VALUES = frozenset({"trace_id", "span_id", "parent_span_id"})  # every value is another
_PLACES: dict[str, Place | None] = {"attribute": "attribute", "resource": "resource", "": None}


async def fields(
    view: View, signal: Signal, selection: Selection, about: str | None, values: int, limit: int
) -> FieldSummaries:
    """Return fields, the commonest first."""
    records = view.records(signal)
    where = records.selected(selection)
    ((count,),) = await view.ask("SELECT count()" + where)
    named = SqlPart("") if about is None else " WHERE positionCaseInsensitiveUTF8(entry.2, " + bind(about) + ") > 0"
    statement = (
        "SELECT place, name, sum(records), count(), groupArrayIf((value, records), rank <= "
        f"{int(values)}), min(isNotNull(toFloat64OrNull(value))) FROM ("
        "SELECT place, name, value, records, "
        "row_number() OVER (PARTITION BY place, name ORDER BY records DESC, value) AS rank FROM ("
        "SELECT entry.1 AS place, entry.2 AS name, entry.3 AS value, count() AS records FROM ("
        f"SELECT arrayJoin({_entries(records)}) AS entry"
        + where
        + ")"
        + named
        + f" GROUP BY place, name, value)) GROUP BY place, name ORDER BY sum(records) DESC, name LIMIT {int(limit)}"
    )
    return FieldSummaries(count, [_summary(*row) for row in await view.ask(statement)])


def _entries(records: Records) -> str:
    """Return the expression of all fields of a record as places, names and values."""
    columns = ", ".join(
        f"('', '{name}', toString({column}))"
        for name, column in records.columns.columns.items()
        if name not in _WITHOUT_VALUES
    )
    attributes = [
        f"arrayMap((name, value) -> ('{place}', toString(name), value), mapKeys({column}), mapValues({column}))"
        for place, column in (("attribute", records.source.attribute_column), ("resource", "ResourceAttributes"))
    ]
    return f"arrayConcat({', '.join(attributes)}, arrayFilter(entry -> entry.3 != '', [{columns}]))"


def _summary(
    place: str, name: str, records: int, distinct: int, found: Sequence[tuple[str, int]], numeric: int
) -> FieldSummary:
    values = sorted(((value, count) for value, count in found), key=lambda each: (-each[1], each[0]))
    return FieldSummary(name, _PLACES[place], records, distinct, values, bool(numeric))
