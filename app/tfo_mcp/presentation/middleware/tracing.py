"""Tracing: records a span, metrics and one log line for each call, linked by the trace id.

Owns the mapping of a call to OpenTelemetry attributes (semantic conventions for MCP). The log line contains caller,
method, outcome and duration, but no arguments, session ids or keys. Spans contain a digest of the session id, and
arguments and results only if the settings enable them.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from time import perf_counter
from typing import Any, NamedTuple, cast

from tfo_mcp.application.event_records import CURRENT_TRACE
from tfo_mcp.application.ports import Operation, Telemetry, Trace
from tfo_mcp.domain.errors import Kind
from tfo_mcp.domain.text import sanitized
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call, Outcome

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NAMED = frozenset({*Outcome, Kind.TIMEOUT, Kind.SHUTTING_DOWN, Kind.INTERNAL})
"""Outcomes that prove that the named tool or prompt exists. With any other outcome the name is unbounded input."""
_WITH_NAME = frozenset({"tools/call", "prompts/get"})
_UNANSWERED = frozenset({Outcome.TOOL_ERROR, Outcome.TOOL_INTERNAL_ERROR, Outcome.CANCELLED})
"""Failed outcomes that are not JSON-RPC errors and therefore have no error code."""
_KINDS: Mapping[Outcome, Kind] = {
    Outcome.TIMEOUT: Kind.TIMEOUT,
    Outcome.SHUTTING_DOWN: Kind.SHUTTING_DOWN,
    Outcome.REVOKED: Kind.UNAUTHENTICATED,
}
"""The errors of calls that were stopped."""


class Tracing:
    """Reports each call to telemetry, and logs it to a structlog logger."""

    def __init__(self, log: Any, telemetry: Telemetry) -> None:
        self._log = log
        self._telemetry = telemetry

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call, then report and log its outcome and duration."""
        trace = call.trace = self._telemetry.begin(call.meta, call.facts.header)
        context = call.meta.get("traceparent") if trace is None else trace
        token = None if context is None else CURRENT_TRACE.set(_trace_of(context))
        started = perf_counter()
        result = None
        try:
            result = await call_next(call)
            return result
        finally:
            seconds = perf_counter() - started
            name = _name_of(call)
            details = self._details(call, result) if trace is not None and trace.recorded else {}
            self._telemetry.end(trace, _operation(call, name), seconds, details)
            self._log.info("call", deferred=_line_of(call, name, seconds, trace))
            if token is not None:
                CURRENT_TRACE.reset(token)

    def _details(self, call: Call, result: bytes | None) -> Mapping[str, str]:
        details = {"jsonrpc.request.id": str(call.id), "enduser.id": call.caller.name}
        if call.session is not None:
            details["mcp.session.id"] = blake2b(call.session.id.encode(), digest_size=8).hexdigest()
        if call.facts.address is not None:
            details["client.address"] = call.facts.address
        if isinstance(uri := call.params.get("uri"), str):
            details["mcp.resource.uri"] = uri
        if self._telemetry.wants_content and call.method == "tools/call":
            details["gen_ai.tool.call.arguments"] = jsonrpc.encode_value(call.params.get("arguments") or {}).decode()
            if result is not None:
                details["gen_ai.tool.call.result"] = result.decode()
        return details


class CallLine(NamedTuple):
    """The log line of a call. A tuple for speed: the thread that writes the log calls it to get the fields."""

    method: str
    outcome: Outcome | Kind
    seconds: float
    caller: str
    transport: str
    revision: str
    name: str | None
    trace: Trace | None
    sent: object

    def __call__(self) -> Mapping[str, object]:
        """Return the fields of the line."""
        fields: dict[str, object] = {
            "method": self.method,
            "outcome": self.outcome.value,
            "ms": round(self.seconds * 1000, 3),
            "caller": self.caller,
            "transport": self.transport,
            "revision": self.revision,
        }
        if self.name is not None:
            fields["name"] = self.name
        if self.trace is not None:
            fields["trace_id"] = self.trace.trace_id
            fields["span_id"] = self.trace.span_id
        elif isinstance(self.sent, str) and (found := _TRACEPARENT.fullmatch(self.sent)):
            fields["trace_id"] = found[1]
        return fields


def _line_of(call: Call, name: str | None, seconds: float, trace: Trace | None) -> CallLine:
    return CallLine(
        call.method,
        call.outcome,
        seconds,
        call.caller.name,
        call.facts.transport.name,
        call.revision.version,
        name,
        trace,
        call.meta.get("traceparent"),
    )


def _trace_of(context: object) -> Trace | str | None:
    """Return the trace of the call, or the trace context that the client sent if it is valid."""
    if isinstance(context, str):
        return context if _TRACEPARENT.fullmatch(context) else None
    return cast(Trace, context)


def _name_of(call: Call) -> str | None:
    """Return the sanitized name of the called tool or prompt, None for other methods."""
    if call.method not in _WITH_NAME:
        return None
    name = call.params.get("name")
    return sanitized(name) if isinstance(name, str) else None


def _operation(call: Call, name: str | None) -> Operation:
    outcome = call.outcome
    if outcome not in _NAMED:
        name = None
    error = status = None
    if outcome in _UNANSWERED:
        error = outcome.value
    elif outcome is not Outcome.OK:
        kind = outcome if isinstance(outcome, Kind) else _KINDS[outcome]
        error = status = str(call.revision.error_codes[kind])
    transport = call.facts.transport
    return Operation(
        call.method,
        call.revision.version,
        transport.network_transport,
        transport.network_protocol,
        name if call.method == "tools/call" else None,
        name if call.method == "prompts/get" else None,
        error,
        status,
    )
