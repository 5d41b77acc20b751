"""A proxy in front of an OTLP receiver: forwards each request as it is, and records what it holds.

Knows OTLP over HTTP with protobuf only.
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.deadlines import PATIENCE
from tests.support.processes import LOOPBACK
from tests.support.request_body import request_body

REQUESTS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


@contextmanager
def recording_proxy(receiver: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the proxy's URL and the list of the decoded requests that the receiver has accepted."""
    accepted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = request_body(self)
            passed = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if name in self.headers}
            answer = httpx.post(receiver + self.path, content=body, headers=passed, timeout=PATIENCE, trust_env=False)
            if answer.status_code == 200:
                plain = gzip.decompress(body) if passed.get("Content-Encoding") == "gzip" else body
                accepted.append(REQUESTS[self.path].FromString(plain))
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: Any) -> None:  # the name in the base class
            """Log nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}", accepted
        finally:
            server.shutdown()
            thread.join()
