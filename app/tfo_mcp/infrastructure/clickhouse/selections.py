"""Translates selections, predicates, fields and measures into SQL of ClickHouse above the sources of a schema.

The row filter of a caller is a part of every condition. Must not know answers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from tfo_mcp.infrastructure.clickhouse.sources import SignalSource
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart, bind, joined, moment
from tfo_mcp.value_objects import value_object

MASK = r"replaceRegexpAll({}, '\\b[0-9a-fA-F]{{8,}}(?:-[0-9a-fA-F]{{4,}})*\\b|\\d+(?:\\.\\d+)*', '*')"
"""The expression of a text without its numbers and ids; with one place for the column."""


@value_object
class SignalColumns:
    """The time column of a signal, its columns by field name, which of them are numbers, and which ignore case."""

    time: str
    columns: Mapping[str, str]
    numbers: frozenset[str]
    folded: frozenset[str]
    error: str


SIGNAL_COLUMNS: Mapping[Signal, SignalColumns] = {
    Signal.TRACES: SignalColumns(
        "Timestamp",
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
    Signal.LOGS: SignalColumns(
        "Timestamp",
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
    Signal.METRICS: SignalColumns(
        "TimeUnix",
        {"service.name": "ServiceName", "name": "MetricName", "unit": "MetricUnit", "scope.name": "ScopeName"},
        frozenset(),
        frozenset(),
        "0",
    ),
}

_QUANTILES: Mapping[Function, float] = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class Records:
    """The records of one signal that a caller may read.

    Args:
        signal: whose records.
        source: where they are.
        rows: the row filter of the caller; None without one.
    """

    def __init__(self, signal: Signal, source: SignalSource, rows: Predicate | None) -> None:
        self.signal = signal
        self.columns = SIGNAL_COLUMNS[signal]
        self.source = source
        self._rows = rows
        self._translations: Mapping[type, Callable[[Any], SqlPart]] = {
            Comparison: self._comparison,
            Presence: lambda predicate: "isNotNull(" + self.text_of(predicate.field) + ")",
            AllOf: lambda predicate: self._combined(predicate.operands, " AND ", "1"),
            AnyOf: lambda predicate: self._combined(predicate.operands, " OR ", "0"),
            Negation: lambda predicate: "NOT " + self.condition(predicate.operand),
        }

    def visible(self) -> SqlPart:
        """Return `FROM ... WHERE` with the condition of the records that the caller may read."""
        condition = SqlPart("1") if self._rows is None else self.condition(self._rows)
        return f" FROM {self.source.query} WHERE " + condition

    def within(self, window: Window) -> SqlPart:
        """Return `FROM ... WHERE` with the condition of the visible records of a window."""
        time = self.columns.time
        return self.visible() + f" AND {time} >= {moment(window.start)} AND {time} < {moment(window.end)}"

    def selected(self, selection: Selection) -> SqlPart:
        """Return `FROM ... WHERE` with the condition of the selected records."""
        found = self.within(selection.window)
        return found if selection.where is None else found + " AND " + self.condition(selection.where)

    def condition(self, predicate: Predicate) -> SqlPart:
        """Return the condition of a predicate, which is true or false, never null."""
        return "(" + self._translations[type(predicate)](predicate) + ")"

    def text_of(self, field: FieldName) -> SqlPart:
        """Return the expression of a field's value as text; null without the field."""
        column = self._column(field)
        if column is not None:
            return SqlPart(f"toString({column})" if field.name in self.columns.numbers else column)
        if field.place is not None:
            return self.source.attribute(field.place, field.name)
        own, resource = (self.source.attribute(place, field.name) for place in ("attribute", "resource"))
        return "coalesce(" + own + ", " + resource + ")"

    def number_of(self, field: FieldName) -> SqlPart:
        """Return the expression of a field's value as number; null if it is none."""
        column = self._column(field)
        if column is not None and field.name in self.columns.numbers:
            return SqlPart(f"toFloat64({column})")
        return "toFloat64OrNull(CAST(" + self.text_of(field) + " AS Nullable(String)))"

    def _column(self, field: FieldName) -> str | None:
        is_column = field.place is None or (field.place == "resource" and field.name == "service.name")
        return self.columns.columns.get(field.name) if is_column else None

    def _comparison(self, comparison: Comparison) -> SqlPart:
        field, operator, value = comparison.field, comparison.operator, comparison.value
        if operator == "~":
            matched = "match(" + self.text_of(field) + ", " + bind(f"(?i-s){value}") + ")"
        elif isinstance(value, bool):
            matched = "lower(" + self.text_of(field) + f") {operator} '{'true' if value else 'false'}'"
        elif isinstance(value, int | float):
            matched = self.number_of(field) + f" {operator} " + bind(float(value))
        elif field.place is None and field.name in self.columns.folded:
            matched = "lower(" + self.text_of(field) + f") {operator} " + bind(value.lower())
        else:
            matched = self.text_of(field) + f" {operator} " + bind(value)
        return "ifNull(" + matched + ", 0)"

    def _combined(self, operands: Sequence[Predicate], word: str, none: str) -> SqlPart:
        return joined(word, [self.condition(operand) for operand in operands]) if operands else SqlPart(none)


def measured(measure: Measure, value: str) -> str:
    """Return the aggregate of a measure over the column `value` (numbers or null)."""
    match measure.function:
        case "count":
            return "toFloat64(count())"
        case "errors":
            return "toFloat64(countIf(is_error))"
        case "sum" | "avg" | "min" | "max":
            return f"{measure.function}OrNull({value})"
        case function:
            return f"quantileExactInclusiveOrNull({_QUANTILES[function]})({value})"
