"""Forwarder: hands a copy of received export requests to another collector, over OTLP/HTTP.

Best-effort: the queue is bounded, and a collector that does not answer costs copies, never the store.
"""

from collections import deque
from collections.abc import Mapping
from threading import Condition, Thread

import httpx
import structlog

from tfo_mcp.application.ports.telemetry_query import Signal
from tfo_mcp.infrastructure.telemetry_store.otlp_requests import Encoding

_log = structlog.get_logger("tfo_mcp.telemetry")
_MAX_BYTES = 32 * 1024 * 1024
_SEND_SECONDS = 10.0
_CLOSING_SECONDS = 2.0
_TYPES: Mapping[Encoding, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}


class Forwarder:
    """Sends copies in a thread of its own.

    Args:
        endpoint: base URL of the collector, e.g. http://127.0.0.1:4318.
        headers: further headers of each request.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._client = httpx.Client(timeout=_SEND_SECONDS, headers=dict(headers), follow_redirects=False)
        self._waiting: deque[tuple[Signal, bytes, Encoding]] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._closing = False
        self.dropped = 0
        """Requests of which the collector has no copy."""
        self._thread = Thread(target=self._run, name="telemetry-forward", daemon=True)
        self._thread.start()

    def take(self, signal: Signal, body: bytes, encoding: Encoding) -> None:
        """Enqueue a copy; it is dropped if the queue is full."""
        with self._changed:
            if self._bytes + len(body) > _MAX_BYTES:
                self.dropped += 1
                return
            self._waiting.append((signal, body, encoding))
            self._bytes += len(body)
            self._changed.notify()

    def close(self) -> None:
        """Send what waits, for at most two seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                signal, body, encoding = self._waiting.popleft()
                self._bytes -= len(body)
            if not self._send(signal, body, encoding):
                self.dropped += 1

    def _send(self, signal: Signal, body: bytes, encoding: Encoding) -> bool:
        try:
            answer = self._client.post(
                f"{self._endpoint}/v1/{signal}", content=body, headers={"content-type": _TYPES[encoding]}
            )
        except httpx.HTTPError as problem:
            _log.warning("telemetry cannot be forwarded", reason=type(problem).__name__)
            return False
        if not answer.is_success:
            _log.warning("telemetry cannot be forwarded", status=answer.status_code)
        return answer.is_success
