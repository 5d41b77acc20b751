"""Translates selections, predicates, fields and measures into SQL of DuckDB.

Values of callers become parameters of the statement, never a part of its text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import duckdb

from tfo_mcp.application.ports.telemetry_query import (
    AllOf,
    AnyOf,
    Comparison,
    FieldName,
    Function,
    Measure,
    Negation,
    Predicate,
    Presence,
    Selection,
    Signal,
    Window,
)
from tfo_mcp.infrastructure.telemetry_store.rows import MAX_TIME
from tfo_mcp.infrastructure.telemetry_store.tables import LOGS, METRICS, TRACES
from tfo_mcp.value_objects import value_object

Rows: TypeAlias = list[tuple[Any, ...]]


@value_object
class Sql:
    """A part of a statement, and the values of its placeholders in order."""

    text: str
    values: tuple[object, ...] = ()

    def __add__(self, other: "Sql | str") -> "Sql":
        """Return both parts, one after the other."""
        if isinstance(other, str):
            return Sql(self.text + other, self.values)
        return Sql(self.text + other.text, self.values + other.values)

    def __radd__(self, other: str) -> "Sql":
        """Return a text and this part after it."""
        return Sql(other + self.text, self.values)

    def run(self, cursor: duckdb.DuckDBPyConnection) -> Rows:
        """Execute the statement, and return its rows."""
        return cursor.execute(self.text, list(self.values)).fetchall()


def joined(separator: str, parts: Sequence[Sql]) -> Sql:
    """Return the parts with a separator between them."""
    values = tuple(value for part in parts for value in part.values)
    return Sql(separator.join(part.text for part in parts), values)


@value_object
class SignalTable:
    """Where the records of a signal are: the source, its time column, its attributes, and its columns by field name."""

    source: str
    time: str
    attributes: str
    columns: Mapping[str, str]
    numbers: frozenset[str]
    folded: frozenset[str]
    error: str


def _metrics_source() -> str:
    shared = (
        "TimeUnix, ServiceName, ResourceAttributes, ScopeName, MetricName, MetricDescription, MetricUnit, Attributes"
    )
    selects = []
    for table in METRICS:
        temporality = "AggregationTemporality" if "AggregationTemporality" in table.columns else "0"
        monotonic = "IsMonotonic" if "IsMonotonic" in table.columns else "false"
        kind = table.name.removeprefix("otel_metrics_")
        selects.append(
            f"SELECT {shared}, '{kind}' AS Kind, {temporality} AS Temporality, {monotonic} AS Monotonic "
            f"FROM {table.name}"
        )
    return f"({' UNION ALL '.join(selects)})"


SIGNAL_TABLES: Mapping[Signal, SignalTable] = {
    Signal.TRACES: SignalTable(
        TRACES.name,
        "Timestamp",
        "SpanAttributes",
        {
            "service.name": "ServiceName",
            "name": "SpanName",
            "kind": "SpanKind",
            "status": "StatusCode",
            "status_message": "StatusMessage",
            "duration": "Duration",
            "trace_id": "TraceId",
            "span_id": "SpanId",
            "parent_span_id": "ParentSpanId",
            "scope.name": "ScopeName",
        },
        frozenset({"duration"}),
        frozenset({"kind", "status"}),
        "StatusCode = 'Error'",
    ),
    Signal.LOGS: SignalTable(
        LOGS.name,
        "Timestamp",
        "LogAttributes",
        {
            "service.name": "ServiceName",
            "body": "Body",
            "severity": "SeverityNumber",
            "severity_text": "SeverityText",
            "trace_id": "TraceId",
            "span_id": "SpanId",
            "scope.name": "ScopeName",
            "event_name": "EventName",
        },
        frozenset({"severity"}),
        frozenset(),
        "SeverityNumber >= 17",
    ),
    Signal.METRICS: SignalTable(
        _metrics_source(),
        "TimeUnix",
        "Attributes",
        {"service.name": "ServiceName", "name": "MetricName", "unit": "MetricUnit", "scope.name": "ScopeName"},
        frozenset(),
        frozenset(),
        "false",
    ),
}

_QUANTILES: Mapping[Function, float] = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class SelectionSql:
    """Translates the fields and predicates of one signal.

    Args:
        signal: whose records are selected.
        rows: the row filter of the caller, added to every condition; None without one.
    """

    def __init__(self, signal: Signal, rows: Predicate | None) -> None:
        self.table = SIGNAL_TABLES[signal]
        self._rows = rows
        self._translations: Mapping[type, Callable[[Any], Sql]] = {
            Comparison: self._comparison,
            Presence: lambda predicate: self.text_of(predicate.field) + " IS NOT NULL",
            AllOf: lambda predicate: self._combined(predicate.operands, " AND ", "true"),
            AnyOf: lambda predicate: self._combined(predicate.operands, " OR ", "false"),
            Negation: lambda predicate: "NOT " + self.condition(predicate.operand),
        }

    def visible(self) -> Sql:
        """Return the condition of the records that the caller may read."""
        return Sql("true") if self._rows is None else self.condition(self._rows)

    def selected(self, selection: Selection) -> Sql:
        """Return the condition of the selected records."""
        condition = self.within(selection.window) + " AND " + self.visible()
        return condition if selection.where is None else condition + " AND " + self.condition(selection.where)

    def within(self, window: Window) -> Sql:
        """Return the condition of the records of a window."""
        return Sql(f"{self.table.time} >= {moment(window.start)} AND {self.table.time} < {moment(window.end)}")

    def condition(self, predicate: Predicate) -> Sql:
        """Return the condition of a predicate, which is true or false, never null."""
        return "(" + self._translations[type(predicate)](predicate) + ")"

    def text_of(self, field: FieldName) -> Sql:
        """Return the expression of a field's value as text; null without the field."""
        column = self._column(field)
        if column is not None:
            return Sql(f"CAST({column} AS VARCHAR)" if field.name in self.table.numbers else column)
        if field.place == "attribute":
            return Sql(f"{self.table.attributes}[?]", (field.name,))
        if field.place == "resource":
            return Sql("ResourceAttributes[?]", (field.name,))
        return Sql(f"coalesce({self.table.attributes}[?], ResourceAttributes[?])", (field.name, field.name))

    def number_of(self, field: FieldName) -> Sql:
        """Return the expression of a field's value as number; null if it is none."""
        column = self._column(field)
        if column is not None and field.name in self.table.numbers:
            return Sql(column)
        return "try_cast(" + self.text_of(field) + " AS DOUBLE)"

    def _column(self, field: FieldName) -> str | None:
        is_column = field.place is None or (field.place == "resource" and field.name == "service.name")
        return self.table.columns.get(field.name) if is_column else None

    def _comparison(self, comparison: Comparison) -> Sql:
        field, operator, value = comparison.field, comparison.operator, comparison.value
        if operator == "~":
            matched = "regexp_matches(" + self.text_of(field) + Sql(", ?, 'i')", (str(value),))
        elif isinstance(value, bool):
            matched = "lower(" + self.text_of(field) + Sql(f") {operator} ?", ("true" if value else "false",))
        elif isinstance(value, int | float):
            matched = self.number_of(field) + Sql(f" {operator} ?", (value,))
        elif field.place is None and field.name in self.table.folded:
            matched = "lower(" + self.text_of(field) + Sql(f") {operator} lower(?)", (value,))
        else:
            matched = self.text_of(field) + Sql(f" {operator} ?", (value,))
        return "coalesce(" + matched + ", false)"

    def _combined(self, operands: Sequence[Predicate], word: str, none: str) -> Sql:
        return joined(word, [self.condition(operand) for operand in operands]) if operands else Sql(none)


def moment(nanoseconds: int) -> str:
    """Return the literal of a time."""
    return f"make_timestamp_ns({max(-MAX_TIME, min(int(nanoseconds), MAX_TIME))})"


def measured(measure: Measure, value: str) -> str:
    """Return the aggregate of a measure over the column `value` (numbers or null)."""
    match measure.function:
        case "count":
            return "CAST(count(*) AS DOUBLE)"
        case "errors":
            return "CAST(count(*) FILTER (WHERE is_error) AS DOUBLE)"
        case "sum" | "avg" | "min" | "max":
            return f"CAST({measure.function}({value}) AS DOUBLE)"
        case function:
            return f"CAST(quantile_cont({value}, {_QUANTILES[function]}) AS DOUBLE)"
