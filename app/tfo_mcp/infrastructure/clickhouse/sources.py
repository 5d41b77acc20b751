"""Sources of records: expressions of a table's columns, whichever columns and types it has.

A source is a subquery with the columns that queries use. Must not know which tables there are, or queries.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from tfo_mcp.application.ports.telemetry_query import Place
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind, quoted
from tfo_mcp.value_objects import value_object

Shape = Literal["maps", "json", "telemetryflow"]
Columns = Mapping[str, str]
"""Types by column."""

TENANT_FIELDS: Mapping[str, str] = {
    "organization.id": "organization_id",
    "workspace.id": "workspace_id",
    "tenant.id": "tenant_id",
}
"""Columns of TelemetryFlow's tables by the resource attribute that they are; a sender's own value never counts."""
MAP = "Map(String, String)"
_EMPTY_MAP = "CAST(map(), 'Map(String, String)')"


@value_object
class SignalSource:
    """The records of a signal: a subquery with the columns that queries use, and the expressions of attributes."""

    query: str
    attribute_column: str
    shape: Shape
    tables: Sequence[str] = ()

    def attribute(self, place: Place, name: str) -> SqlPart:
        """Return the expression of an attribute as text; null without it."""
        column = self.attribute_column if place == "attribute" else "ResourceAttributes"
        if self.shape == "json":
            return SqlPart(f"CAST(getSubcolumn({column}Json, ") + bind(name) + ") AS Nullable(String))"
        key = bind(name)
        return f"if(mapContains({column}, " + key + f"), {column}[" + key + "], NULL)"


class StoredTable:
    """Expressions of the columns of one table; a column that it lacks has a constant."""

    def __init__(self, database: str, name: str, columns: Columns) -> None:
        self.name = name
        self.place = f"{quoted(database)}.{quoted(name)}"
        self._columns = columns

    def has(self, column: str) -> bool:
        """Return whether there is a column."""
        return column in self._columns

    def column(self, name: str) -> str:
        """Return a column, which no alias of the query hides."""
        return f"stored.{quoted(name)}"

    def text(self, column: str) -> str:
        """Return a column as text; empty without it."""
        if not self.has(column):
            return "''"
        is_text = self._columns[column] in ("String", "LowCardinality(String)")
        return self.column(column) if is_text else f"toString({self.column(column)})"

    def folded(self, column: str, prefix: str) -> str:
        """Return a constant of OpenTelemetry as the newest exporter spells it, e.g. `Server`."""
        return f"initcap(replaceOne(toString({self.column(column)}), '{prefix}', ''))" if self.has(column) else "''"

    def number(self, column: str, kind: str) -> str:
        """Return a column as a number; 0 without it."""
        return f"to{kind}({self.column(column)})" if self.has(column) else f"to{kind}(0)"

    def time(self, column: str) -> str:
        """Return a column of any type of time; DateTime64(9) stays bare, so that its index is used."""
        kind = self._columns.get(column, "")
        return self.column(column) if kind.startswith("DateTime64(9") else f"toDateTime64({self.column(column)}, 9)"

    def is_json(self, column: str) -> bool:
        """Return whether a column is of type JSON."""
        return self._columns.get(column, "").startswith(("JSON", "Object"))

    def map(self, column: str) -> str:
        """Return a column of attributes as Map(String, String)."""
        if not self.has(column):
            return _EMPTY_MAP
        if self.is_json(column):
            pairs = f"arrayZip(JSONAllPaths({self.column(column)}), JSONAllValues({self.column(column)}))"
            return f"CAST({pairs}, 'Map(String, String)')"
        return self.column(column)

    def maps(self, column: str) -> str:
        """Return a column of arrays of attributes as Array(Map(String, String))."""
        if not self.has(column):
            return "CAST([], 'Array(Map(String, String))')"
        if "JSON" in self._columns[column]:
            pairs = "arrayZip(JSONAllPaths(each), JSONAllValues(each))"
            return f"arrayMap(each -> CAST({pairs}, 'Map(String, String)'), {self.column(column)})"
        return f"CAST({self.column(column)}, 'Array(Map(String, String))')"

    def texts(self, column: str) -> str:
        """Return a column of arrays as texts."""
        return f"CAST({self.column(column)}, 'Array(String)')" if self.has(column) else "CAST([], 'Array(String)')"

    def array(self, column: str, kind: str) -> str:
        """Return a column of arrays of a type; empty without it."""
        return f"CAST({self.column(column) if self.has(column) else '[]'}, 'Array({kind})')"

    def times(self, column: str) -> str:
        """Return a column of arrays of times as nanoseconds."""
        if not self.has(column):
            return "CAST([], 'Array(Int64)')"
        return f"arrayMap(each -> toUnixTimestamp64Nano(toDateTime64(each, 9)), {self.column(column)})"

    def select(self, columns: Mapping[str, str]) -> str:
        """Return the query of these columns; those of JSON attributes are there as they are, too."""
        bare = {
            f"{name}Json": self.column(name)
            for name in ("SpanAttributes", "LogAttributes", "Attributes", "ResourceAttributes")
            if name in columns and self.is_json(name)
        }
        chosen = ", ".join(f"{expression} AS {name}" for name, expression in {**columns, **bare}.items())
        return f"SELECT {chosen} FROM {self.place} AS stored"


def tenant_resource(table: StoredTable) -> str:
    """Return the resource with the tenant columns in place of what a sender claims about them."""
    owned = {name: column for name, column in TENANT_FIELDS.items() if table.has(column)}
    if not owned:
        return table.map("resource_attributes")
    names = ", ".join(f"'{name}'" for name in owned)
    pairs = ", ".join(f"'{name}', {table.text(column)}" for name, column in owned.items())
    sent = f"mapFilter((name, value) -> name NOT IN ({names}), {table.map('resource_attributes')})"
    kept = f"mapFilter((name, value) -> value != '', map({pairs}))"
    return f"mapUpdate({sent}, {kept})"


def source(table: StoredTable, columns: Mapping[str, str], attributes: str) -> SignalSource:
    """Return the source of a table of OpenTelemetry's exporter."""
    shape: Shape = "json" if table.is_json(attributes) and table.is_json("ResourceAttributes") else "maps"
    return SignalSource(f"({table.select(columns)})", attributes, shape, [table.place])


def tenant_source(table: StoredTable, columns: Mapping[str, str], attributes: str) -> SignalSource:
    """Return the source of a table of TelemetryFlow."""
    return SignalSource(f"({table.select(columns)})", attributes, "telemetryflow", [table.place])


def no_records(types: Mapping[str, str], attributes: str) -> SignalSource:
    """Return a source without records."""
    columns = ", ".join(f"CAST({_EMPTY[kind]}, '{kind}') AS {name}" for name, kind in types.items())
    return SignalSource(f"(SELECT {columns} FROM system.one WHERE 0)", attributes, "maps")


_EMPTY: Mapping[str, str] = {
    "DateTime64(9)": "0",
    "String": "''",
    "Int64": "0",
    "UInt64": "0",
    "Float64": "0",
    "Int32": "0",
    "UInt8": "0",
    "Nullable(Float64)": "NULL",
    MAP: "map()",
    "Array(String)": "[]",
    "Array(Int64)": "[]",
    "Array(UInt64)": "[]",
    "Array(Float64)": "[]",
    f"Array({MAP})": "[]",
}
