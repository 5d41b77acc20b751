"""Makes the records of the port from rows of the sources."""

from collections.abc import Sequence
from typing import Any, cast

from tfo_mcp.application.ports.telemetry_store import LogRecord, Span, SpanEvent, SpanKind, SpanLink, SpanStatus

SPAN_COLUMNS = (
    "TraceId, SpanId, ParentSpanId, ServiceName, SpanName, toUnixTimestamp64Nano(Timestamp), Duration, SpanKind, "
    "StatusCode, StatusMessage, SpanAttributes, ResourceAttributes, EventTimes, EventNames, EventAttributes, "
    "LinkTraces, LinkSpans, LinkAttributes, ScopeName, TraceState"
)
LOG_COLUMNS = (
    "toUnixTimestamp64Nano(Timestamp), ServiceName, Body, SeverityNumber, SeverityText, TraceId, SpanId, "
    "LogAttributes, ResourceAttributes, ScopeName, EventName"
)
_KINDS = frozenset({"internal", "server", "client", "producer", "consumer"})
_STATUSES = frozenset({"ok", "error"})


def span_of(row: Sequence[Any]) -> Span:
    """Return the span of a row of SPAN_COLUMNS."""
    kind, status = row[7].lower(), row[8].lower()
    return Span(
        trace_id=row[0],
        span_id=row[1],
        parent_span_id=row[2],
        service=row[3],
        name=row[4],
        start=row[5],
        duration=row[6],
        kind=cast(SpanKind, kind if kind in _KINDS else "unspecified"),
        status=cast(SpanStatus, status if status in _STATUSES else "unset"),
        status_message=row[9],
        attributes=row[10],
        resource=row[11],
        events=tuple(SpanEvent(*event) for event in zip(row[12], row[13], row[14], strict=True)),
        links=tuple(SpanLink(*link) for link in zip(row[15], row[16], row[17], strict=True)),
        scope=row[18],
        trace_state=row[19],
    )


def log_of(row: Sequence[Any]) -> LogRecord:
    """Return the log record of a row of LOG_COLUMNS."""
    return LogRecord(*row)
