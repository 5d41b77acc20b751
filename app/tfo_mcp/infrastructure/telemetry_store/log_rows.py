"""Makes rows of OTLP's log requests."""

from time import time_ns

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tfo_mcp.infrastructure.telemetry_store.attributes import AttributeReader, service_of
from tfo_mcp.infrastructure.telemetry_store.rows import (
    Rejections,
    RowBatch,
    UnusableRecord,
    hex_id,
    shared_columns,
    usable_time,
)
from tfo_mcp.infrastructure.telemetry_store.tables import LOGS

_MOST_SEVERE = 24


def add_logs(
    request: ExportLogsServiceRequest, batch: RowBatch, rejections: Rejections, reader: AttributeReader
) -> None:
    """Add the log records of a request to a batch."""
    received = time_ns()
    for resource_logs in request.resource_logs:
        resource = reader.map(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            shared = shared_columns(
                {
                    "ServiceName": service_of(resource),
                    "ResourceSchemaUrl": reader.text(resource_logs.schema_url),
                    "ResourceAttributes": resource,
                    "ScopeSchemaUrl": reader.text(scope_logs.schema_url),
                    "ScopeName": reader.text(scope_logs.scope.name),
                    "ScopeVersion": reader.text(scope_logs.scope.version),
                    "ScopeAttributes": reader.map(scope_logs.scope.attributes),
                }
            )
            for record in scope_logs.log_records:
                try:
                    batch.add(LOGS, _row(record, reader, received), shared)
                except UnusableRecord as problem:
                    rejections.reasons[str(problem)] += 1


def _row(record: LogRecord, reader: AttributeReader, received: int) -> dict[str, object]:
    number = record.severity_number
    return {
        "Timestamp": usable_time(record.time_unix_nano or record.observed_time_unix_nano or received),
        "TraceId": hex_id(record.trace_id, 16, "trace_id", required=False),
        "SpanId": hex_id(record.span_id, 8, "span_id", required=False),
        "TraceFlags": record.flags & 0xFF,
        "SeverityText": reader.text(record.severity_text),
        "SeverityNumber": number if 0 <= number <= _MOST_SEVERE else 0,
        "Body": reader.body(record.body),
        "LogAttributes": reader.map(record.attributes),
        "EventName": reader.text(record.event_name),
    }
