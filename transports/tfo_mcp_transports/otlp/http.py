"""OTLP over HTTP: protobuf and JSON, with gzip (OpenTelemetry specification, OTLP/HTTP).

Bodies are limited before and after decompression, and so is the memory of all bodies that are received at once.
"""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any, Literal

from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from starlette.types import Receive, Scope, Send

from tfo_mcp_transports.network.responses import answer
from tfo_mcp_transports.otlp.exports import MISSING_KEY, RETRY_SECONDS, ExportOutcome, SenderKey, Submit, response_of

_PATHS: Mapping[str, str] = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}
_TYPES: Mapping[str, Literal["protobuf", "json"]] = {
    "application/x-protobuf": "protobuf",
    "application/protobuf": "protobuf",
    "application/json": "json",
}
_BODIES_AT_ONCE = 4
_RETRY = (b"retry-after", b"%d" % RETRY_SECONDS)


class _Refused(Exception):
    """A request is not accepted: its HTTP status, gRPC's code and the reason for the sender."""

    def __init__(self, status: int, code: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code


class _SenderLeft(Exception):
    """The connection ended before the body was complete."""


class OtlpHttp:
    """The ASGI application of the receiver.

    Args:
        submit: stores requests.
        key: checks senders.
        max_bytes: maximum bytes of a body, before and after decompression.
    """

    def __init__(self, submit: Submit, key: SenderKey, max_bytes: int) -> None:
        self._submit = submit
        self._key = key
        self._max_bytes = max_bytes
        self._received_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = _TYPES.get(kind, "protobuf")
        try:
            signal = self._accepted(scope, headers, kind)
            body = await self._body(headers, receive)
            outcome: ExportOutcome = await asyncio.wrap_future(self._submit(signal, body, encoding))
            _require_stored(outcome)
        except _Refused as refusal:
            retry = (_RETRY,) if refusal.status in (429, 503) else ()
            status = Status(code=refusal.code, message=str(refusal))
            await answer(send, refusal.status, _encoded(status, encoding), _content_type(encoding), retry)
        except _SenderLeft:
            return
        else:
            await answer(send, 200, _encoded(response_of(signal, outcome), encoding), _content_type(encoding))

    def _accepted(self, scope: Scope, headers: Mapping[str, str], kind: str) -> str:
        """Return the signal of a request.

        Raises:
            _Refused: it is not accepted.
        """
        signal = _PATHS.get(scope["path"].rstrip("/"))
        if signal is None:
            raise _Refused(404, Code.NOT_FOUND, f"OTLP is received at {', '.join(_PATHS)}")
        if scope["method"] != "POST":
            raise _Refused(405, Code.UNIMPLEMENTED, "Send a POST request")
        if not self._key.accepts(headers):
            raise _Refused(401, Code.UNAUTHENTICATED, MISSING_KEY)
        if kind not in _TYPES:
            raise _Refused(415, Code.INVALID_ARGUMENT, "Send Content-Type: application/x-protobuf or application/json")
        return signal

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        compression = headers.get("content-encoding", "identity").strip().lower()
        if compression not in ("identity", "gzip", ""):
            raise _Refused(415, Code.INVALID_ARGUMENT, "Send the body with Content-Encoding gzip, or without")
        body = await self._received(headers, receive)
        return self._inflated(body) if compression == "gzip" else body

    async def _received(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _SenderLeft
                part: bytes = message.get("body", b"")
                size += len(part)
                self._received_bytes += len(part)
                if size > self._max_bytes:
                    raise self._too_large()
                if self._received_bytes > _BODIES_AT_ONCE * self._max_bytes:
                    raise _Refused(503, Code.RESOURCE_EXHAUSTED, "The receiver is busy: send it again later")
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
        finally:
            self._received_bytes -= size

    def _inflated(self, body: bytes) -> bytes:
        """Return the contents of gzip data, which may have several members."""
        contents = bytearray()
        while body:
            inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                contents += inflate.decompress(body, self._max_bytes + 1 - len(contents))
            except zlib.error:
                raise _Refused(400, Code.INVALID_ARGUMENT, "The body is not gzip data") from None
            if len(contents) > self._max_bytes:
                raise self._too_large()
            if not inflate.eof:
                raise _Refused(400, Code.INVALID_ARGUMENT, "The gzip data is incomplete")
            body = inflate.unused_data
        return bytes(contents)

    def _too_large(self) -> _Refused:
        reason = f"The body is larger than {self._max_bytes} bytes (setting telemetry.max_request_bytes)"
        return _Refused(413, Code.INVALID_ARGUMENT, reason)


def _require_stored(outcome: ExportOutcome) -> None:
    match outcome.status:
        case "unreadable":
            raise _Refused(400, Code.INVALID_ARGUMENT, outcome.message)
        case "full":
            raise _Refused(503, Code.RESOURCE_EXHAUSTED, outcome.message)
        case "failed":
            raise _Refused(503, Code.UNAVAILABLE, outcome.message)


def _encoded(message: Any, encoding: str) -> bytes:
    return bytes(MessageToJson(message, indent=None), "utf-8") if encoding == "json" else message.SerializeToString()


def _content_type(encoding: str) -> bytes:
    return b"application/json" if encoding == "json" else b"application/x-protobuf"
