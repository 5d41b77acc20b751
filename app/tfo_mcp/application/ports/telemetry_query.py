"""Questions to a telemetry store: time windows, fields, predicates and measures, as typed values.

A predicate is a tree that each store translates into its own query language; no text of a caller reaches a query
unparsed. Knows neither the filter language, which `tfo_mcp.analysis.filters` parses, nor any store.

Semantics of predicates, the same for every store:

- A field without a place means the column of that name (`COLUMNS`), else the attribute of the span or log record, else
  the resource's attribute. A row filter uses `resource` fields only, since senders choose the other attributes.
- A comparison with a number casts the value; a value that is no number does not match. One with a text compares texts;
  `kind` and `status` ignore case. One with a Boolean matches `true` and `false`.
- `~` searches for a regular expression (RE2), ignoring case.
- A record without the field matches no comparison. A negation matches exactly where its operand does not.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, TypeAlias

from tfo_mcp.value_objects import value_object


class Signal(StrEnum):
    """The kinds of telemetry."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


COLUMNS: Mapping[Signal, frozenset[str]] = {
    Signal.TRACES: frozenset(
        {
            *("service.name", "name", "kind", "status", "status_message", "duration", "trace_id", "span_id"),
            *("parent_span_id", "scope.name"),
        }
    ),
    Signal.LOGS: frozenset(
        {"service.name", "body", "severity", "severity_text", "trace_id", "span_id", "scope.name", "event_name"}
    ),
    Signal.METRICS: frozenset({"service.name", "name", "unit", "scope.name"}),
}
"""Fields that are columns of a signal. `duration` is in nanoseconds, `severity` OpenTelemetry's number (1 to 24)."""

Place = Literal["attribute", "resource"]
Operator = Literal["=", "<", "<=", ">", ">=", "~"]
Function = Literal["count", "errors", "sum", "avg", "min", "max", "p50", "p75", "p90", "p95", "p99"]


@value_object
class Window:
    """A half-open period `[start, end)` in nanoseconds since 1970."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return (self.end - self.start) / 1e9


@value_object
class FieldName:
    """The name of a column or attribute; see the module for the meaning of a missing place."""

    name: str
    place: Place | None = None


@value_object
class Comparison:
    """`field operator value`."""

    field: FieldName
    operator: Operator
    value: str | float | bool


@value_object
class Presence:
    """Matches records that have the field."""

    field: FieldName


@value_object
class AllOf:
    """Matches where every operand does; without operands, everywhere."""

    operands: "tuple[Predicate, ...]"


@value_object
class AnyOf:
    """Matches where at least one operand does; without operands, nowhere."""

    operands: "tuple[Predicate, ...]"


@value_object
class Negation:
    """Matches where the operand does not."""

    operand: "Predicate"


Predicate: TypeAlias = Comparison | Presence | AllOf | AnyOf | Negation


@value_object
class Selection:
    """The records of a window that match a predicate; without one, all."""

    window: Window
    where: Predicate | None = None


@value_object
class Measure:
    """A number per group of records.

    `count` is the number of records, `errors` that of spans with status error or of log records of severity 17 and
    more; both have no field. The other functions aggregate the numeric values of `field`.
    """

    function: Function
    field: FieldName | None = None
