"""Decodes OTLP export requests, protobuf or JSON, and makes rows of them.

Owns the differences between OTLP's JSON and protobuf's: ids are hexadecimal, not Base64. Must not know transports.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Literal

from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic_core import from_json

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.infrastructure.telemetry_store.attributes import AttributeReader
from tfo_mcp.infrastructure.telemetry_store.log_rows import add_logs
from tfo_mcp.infrastructure.telemetry_store.metric_rows import add_metrics
from tfo_mcp.infrastructure.telemetry_store.rows import Rejections, RowBatch
from tfo_mcp.infrastructure.telemetry_store.trace_rows import add_traces
from tfo_mcp.value_objects import value_object

Encoding = Literal["protobuf", "json"]
_ID_SIZES: Mapping[str, int] = {
    "traceId": 16,
    "trace_id": 16,
    "spanId": 8,
    "span_id": 8,
    "parentSpanId": 8,
    "parent_span_id": 8,
}
_MAX_DEPTH = 100  # protobuf's own limit for both encodings


class UndecodableRequest(ValueError):
    """A request cannot be decoded; the text says why."""


@value_object
class _Kind:
    message: Callable[[], Any]
    add: Callable[[Any, RowBatch, Rejections, AttributeReader], None]


_KINDS: Mapping[Signal, _Kind] = {
    Signal.TRACES: _Kind(ExportTraceServiceRequest, add_traces),
    Signal.LOGS: _Kind(ExportLogsServiceRequest, add_logs),
    Signal.METRICS: _Kind(ExportMetricsServiceRequest, add_metrics),
}


def add_request(
    signal: Signal, body: bytes, encoding: Encoding, batch: RowBatch, reader: AttributeReader
) -> Rejections:
    """Add the records of a request to a batch, and return those that cannot be stored.

    Raises:
        UndecodableRequest: the whole request cannot be read; the batch is unchanged.
    """
    kind, rejections = _KINDS[signal], Rejections()
    message = kind.message()
    if encoding == "protobuf":
        try:
            message.ParseFromString(body)
        except DecodeError:
            raise UndecodableRequest(f"the body is no protobuf message of OTLP {signal}") from None
    else:
        _parse_json(body, message, signal)
    kind.add(message, batch, rejections, reader)
    return rejections


def _parse_json(body: bytes, message: Any, signal: Signal) -> None:
    try:
        ParseDict(_with_base64_ids(from_json(body), _MAX_DEPTH), message, ignore_unknown_fields=True)
    except (ValueError, TypeError, AttributeError, ParseError, RecursionError) as problem:
        reason = str(problem) if isinstance(problem, UndecodableRequest) else f"the body is no JSON of OTLP {signal}"
        raise UndecodableRequest(reason) from None


def _with_base64_ids(value: Any, depth: int) -> Any:
    """Return the JSON with ids as protobuf's JSON wants them. Names that senders choose are values, never keys."""
    if depth == 0:
        raise UndecodableRequest("the body is nested too deeply")
    if isinstance(value, dict):
        return {
            key: _base64_id(item, key) if key in _ID_SIZES else _with_base64_ids(item, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_base64_ids(item, depth - 1) for item in value]
    return value


def _base64_id(value: Any, key: str) -> str:
    """Return an id in Base64; one that is not hexadecimal becomes empty, so that only its record is rejected."""
    try:
        data = bytes.fromhex(value)
    except (TypeError, ValueError):
        return ""
    return b64encode(data).decode() if len(data) == _ID_SIZES[key] else ""
