"""Tracing: each call is watched by telemetry, and has one line in the log, tied to its trace.

Owns how a call is described in OpenTelemetry's words (semantic conventions for MCP). The line says who called what, how
it ended and how long it took; never arguments, session ids or keys. Spans have a digest in the place of the session's
id, and arguments and results only where the settings ask for them.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from time import perf_counter
from typing import Any

from tfo_mcp.application.ports import Operation, Telemetry, Trace
from tfo_mcp.domain.errors import Kind
from tfo_mcp.domain.text import sanitized
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call, Outcome

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NAMED = frozenset({*Outcome, Kind.TIMEOUT, Kind.SHUTTING_DOWN, Kind.INTERNAL})
"""Outcomes of calls whose tool or prompt exists; with any other outcome the name could be anything."""
_WITH_NAME = frozenset({"tools/call", "prompts/get"})
_UNANSWERED = frozenset({Outcome.TOOL_ERROR, Outcome.TOOL_INTERNAL_ERROR, Outcome.CANCELLED})
"""Outcomes that are no error of the protocol."""
_KINDS: Mapping[Outcome, Kind] = {
    Outcome.TIMEOUT: Kind.TIMEOUT,
    Outcome.SHUTTING_DOWN: Kind.SHUTTING_DOWN,
    Outcome.REVOKED: Kind.UNAUTHENTICATED,
}
"""The errors that interrupted calls are answered with."""


class Tracing:
    """Watches each call, and writes its line to a structlog logger."""

    def __init__(self, log: Any, telemetry: Telemetry) -> None:
        self._log = log
        self._telemetry = telemetry

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call, watched."""
        trace = self._telemetry.begin(call.meta, call.facts.header)
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
            self._write(call, name, seconds, trace)

    def _details(self, call: Call, result: bytes | None) -> Mapping[str, str]:
        details = {"jsonrpc.request.id": str(call.id)}
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

    def _write(self, call: Call, name: str | None, seconds: float, trace: Trace | None) -> None:
        fields: dict[str, object] = {
            "method": call.method,
            "outcome": call.outcome.value,
            "ms": round(seconds * 1000, 3),
            "caller": call.caller.name,
            "transport": call.facts.transport.name,
            "revision": call.revision.version,
        }
        if name is not None:
            fields["name"] = name
        if trace is not None:
            fields["trace_id"] = trace.trace_id
            fields["span_id"] = trace.span_id
        else:
            sent = call.meta.get("traceparent")
            if isinstance(sent, str) and (found := _TRACEPARENT.fullmatch(sent)):
                fields["trace_id"] = found[1]
        self._log.info("call", **fields)


def _name_of(call: Call) -> str | None:
    """Return the name of the tool or prompt that a call is for, as logs and spans show it."""
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
