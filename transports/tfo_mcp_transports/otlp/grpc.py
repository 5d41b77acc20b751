"""OTLP over gRPC: the three services of the collector, on threads of gRPC's own.

Requests are handed on as bytes: they are decoded once, by the store.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tfo_mcp_transports.otlp.exports import MISSING_KEY, RETRY_SECONDS, ExportOutcome, SenderKey, Submit, response_of

_SERVICES: Mapping[str, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
_THREADS = 16
_STORE_SECONDS = 30.0
_STOP_SECONDS = 1.0
_DETAILS = "grpc-status-details-bin"


class OtlpGrpc:
    """The receiver; it serves from its start until `stop`.

    Args:
        submit: stores requests.
        key: checks senders.
        max_bytes: maximum bytes of a message, before and after decompression.
    """

    def __init__(self, submit: Submit, key: SenderKey, max_bytes: int) -> None:
        self._submit = submit
        self._key = key
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, "otlp-grpc"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", max_bytes),
                ("grpc.max_concurrent_streams", _THREADS * 4),
                ("grpc.max_metadata_size", 16 * 1024),
            ],
            maximum_concurrent_rpcs=_THREADS * 4,
        )
        self._server.add_generic_rpc_handlers(tuple(self._handlers(signal) for signal in _SERVICES))

    def start(self, host: str, port: int) -> int:
        """Bind an address and serve; return the port.

        Raises:
            OSError: the address cannot be bound.
        """
        shown = f"[{host}]" if ":" in host else host
        try:
            bound = int(self._server.add_insecure_port(f"{shown}:{port}"))
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise OSError(f"cannot listen on {shown}:{port}")
        self._server.start()
        return bound

    def stop(self) -> None:
        """Finish the requests that are running, and stop."""
        self._server.stop(_STOP_SECONDS).wait(_STOP_SECONDS)

    def _handlers(self, signal: str) -> grpc.GenericRpcHandler:
        method: Any = grpc.unary_unary_rpc_method_handler(self._exporter(signal))
        return grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": method})

    def _exporter(self, signal: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
            if not self._key.accepts(headers):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, MISSING_KEY)
            outcome: ExportOutcome = self._submit(signal, body, "protobuf").result(_STORE_SECONDS)
            if outcome.status != "stored":
                _abort(context, outcome)
            encoded: bytes = response_of(signal, outcome).SerializeToString()
            return encoded

        return export


def _abort(context: grpc.ServicerContext, outcome: ExportOutcome) -> NoReturn:
    """End a request with the status of its outcome; only those that can be repeated carry a delay."""
    if outcome.status == "unreadable":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, outcome.message)
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if outcome.status == "full" else grpc.StatusCode.UNAVAILABLE
    delay: Any = AnyMessage()
    delay.Pack(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    status = Status(code=code.value[0], message=outcome.message, details=[delay])
    context.set_trailing_metadata(((_DETAILS, status.SerializeToString()),))
    context.abort(code, outcome.message)
    raise AssertionError("abort raises")
