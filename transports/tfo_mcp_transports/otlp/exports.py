"""Export requests as the receivers see them: bytes of a signal that a sink stores, and the keys of senders.

Owns the official messages of the answers. Knows neither HTTP nor gRPC.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from secrets import compare_digest
from typing import Any, Literal, Protocol

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

KEY_ID, KEY_SECRET = "x-telemetryflow-key-id", "x-telemetryflow-key-secret"
RETRY_SECONDS = 1
MISSING_KEY = f"Send the headers {KEY_ID} and {KEY_SECRET} of this receiver"


class ExportOutcome(Protocol):
    """What became of a request: its status, the number of its rejected records, and why."""

    @property
    def status(self) -> Literal["stored", "unreadable", "full", "failed"]:
        """Whether it is stored; `full` and `failed` mean that the sender may repeat it."""

    @property
    def rejected(self) -> int:
        """The number of records that are not stored."""

    @property
    def message(self) -> str:
        """Why something is not stored."""


Submit = Callable[[str, bytes, Literal["protobuf", "json"]], "Future[Any]"]
"""Stores a request of a signal: `traces`, `metrics` or `logs`; the future's result is an `ExportOutcome`."""


class SenderKey:
    """Checks the key of a sender.

    Args:
        key: id and secret; None if senders need none.
    """

    def __init__(self, key: tuple[str, str] | None) -> None:
        self._key = None if key is None else "\0".join(key).encode()

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Return whether headers, with names in lower case, contain the key."""
        if self._key is None:
            return True
        given = "\0".join(headers.get(name, "") for name in (KEY_ID, KEY_SECRET))
        return compare_digest(given.encode("utf-8", "surrogateescape"), self._key)


def response_of(signal: str, outcome: ExportOutcome) -> Any:
    """Return the official response to a stored request."""
    match signal:
        case "traces":
            response: Any = ExportTraceServiceResponse()
            counted = "rejected_spans"
        case "metrics":
            response = ExportMetricsServiceResponse()
            counted = "rejected_data_points"
        case _:
            response = ExportLogsServiceResponse()
            counted = "rejected_log_records"
    if outcome.rejected:
        setattr(response.partial_success, counted, outcome.rejected)
        response.partial_success.error_message = outcome.message
    return response
