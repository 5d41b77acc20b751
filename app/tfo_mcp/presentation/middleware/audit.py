"""Audit: records every tool call that is refused or that uses a tool outside the read-only scope.

An entry contains the argument names and a keyed hash of the arguments, by which equal calls can be recognized, but no
argument values. Names are shortened and escaped, and their number is limited, so that no call can flood the log.
"""

import hmac
from heapq import nsmallest
from time import perf_counter

from tfo_mcp.application.ports import AuditEntry, AuditLog, Decision
from tfo_mcp.domain.access import TOOLS_READ
from tfo_mcp.domain.errors import AuditUnavailable, Kind
from tfo_mcp.domain.text import sanitized
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call

_MOST_ARGUMENTS = 64
_REFUSALS = frozenset(
    {
        Kind.TOOL_NOT_FOUND,
        Kind.RATE_LIMITED,
        Kind.UNAUTHENTICATED,
        Kind.SESSION_NOT_FOUND,
        Kind.AUDIT_UNAVAILABLE,
    }
)


class Audit:
    """Writes tool calls to the audit log.

    Args:
        pepper: secret key for the hashes of the arguments.
    """

    def __init__(self, log: AuditLog, pepper: bytes) -> None:
        self._log = log
        self._pepper = pepper

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call, then record it if it was refused or its tool is not read-only."""
        if call.method != "tools/call":
            return await call_next(call)
        started = perf_counter()
        size = None
        try:
            result = await call_next(call)
            size = len(result)
            return result
        finally:
            refused = call.outcome in _REFUSALS
            if refused or call.tool is None or call.tool.scope != TOOLS_READ:
                decision: Decision = "refused" if refused else "allowed"
                self._write(call, decision, call.outcome.value, perf_counter() - started, size)

    async def record_start(self, call: Call, call_next: Next) -> bytes:
        """Serve the call, after recording its start if its tool is not read-only.

        Raises:
            AuditUnavailable: the start could not be recorded.
        """
        changes = call.tool is not None and call.tool.scope != TOOLS_READ
        if changes and not self._write(call, "allowed", "started"):
            raise AuditUnavailable
        return await call_next(call)

    def _write(
        self, call: Call, decision: Decision, outcome: str, seconds: float | None = None, size: int | None = None
    ) -> bool:
        arguments = call.params.get("arguments") or {}
        plain = jsonrpc.canonical(arguments)
        return self._log.write(
            AuditEntry(
                "tool_call",
                decision,
                call.caller.name,
                call.caller.method,
                call.facts.transport.name,
                call.facts.address,
                key_id=call.caller.key_id,
                name=sanitized(call.params["name"]),
                outcome=outcome,
                seconds=None if seconds is None else round(seconds, 6),
                request_bytes=len(plain),
                result_bytes=size,
                arguments=[sanitized(name) for name in nsmallest(_MOST_ARGUMENTS, arguments)],
                digest=hmac.digest(self._pepper, plain, "sha256").hex(),
            )
        )
