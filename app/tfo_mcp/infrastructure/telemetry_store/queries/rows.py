"""Makes the records of the port from rows of the tables."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tfo_mcp.application.ports.telemetry_store import LogRecord, Span, SpanEvent, SpanKind, SpanLink, SpanStatus

SPAN_COLUMNS = (
    "TraceId, SpanId, ParentSpanId, ServiceName, SpanName, epoch_ns(Timestamp), Duration, SpanKind, StatusCode, "
    "StatusMessage, SpanAttributes, ResourceAttributes, "
    "list_transform(Events, lambda e: {Time: epoch_ns(e.Timestamp), Name: e.Name, Attributes: e.Attributes}), "
    "Links, ScopeName, TraceState"
)
LOG_COLUMNS = (
    "epoch_ns(Timestamp), ServiceName, Body, SeverityNumber, SeverityText, TraceId, SpanId, LogAttributes, "
    "ResourceAttributes, ScopeName, EventName"
)


def span_of(row: Sequence[Any]) -> Span:
    """Return the span of a row of SPAN_COLUMNS."""
    return Span(
        trace_id=row[0],
        span_id=row[1],
        parent_span_id=row[2],
        service=row[3],
        name=row[4],
        start=row[5],
        duration=row[6],
        kind=cast(SpanKind, row[7].lower()),
        status=cast(SpanStatus, row[8].lower()),
        status_message=row[9],
        attributes=row[10],
        resource=row[11],
        events=tuple(_event_of(event) for event in row[12]),
        links=tuple(SpanLink(link["TraceId"], link["SpanId"], link["Attributes"]) for link in row[13]),
        scope=row[14],
        trace_state=row[15],
    )


def log_of(row: Sequence[Any]) -> LogRecord:
    """Return the log record of a row of LOG_COLUMNS."""
    return LogRecord(*row)


def _event_of(event: Mapping[str, Any]) -> SpanEvent:
    return SpanEvent(event["Time"], event["Name"], event["Attributes"])
