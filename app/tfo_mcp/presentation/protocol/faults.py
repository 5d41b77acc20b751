"""Fault: an error response before a protocol revision assigns its error code.

Messages of domain errors are written for clients and are sent. Every other exception is unexpected: the client gets
"Internal error" with an error id, and the details are logged under that id.
"""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

import structlog

from tfo_mcp.domain.errors import DomainError, Kind, MissingCapability, MissingScope, NotFound
from tfo_mcp.domain.failures import sendable, stack_trace
from tfo_mcp.domain.text import shortened
from tfo_mcp.presentation import jsonrpc
from tfo_mcp.presentation.jsonrpc import RequestId
from tfo_mcp.presentation.protocol.revisions import DEFAULT_REVISION, Revision

__all__ = ["Fault", "Kind", "Refusal", "draining", "encode_fault", "fault_of", "unexpected", "unknown_method"]

_log = structlog.get_logger("tfo_mcp.faults")


class Fault(Exception):
    """Ends a request with an error. `message` and `data` are sent to the client unchanged.

    `needs` are all scopes that the operation needs if the caller lacks one of them, for transports that can report
    them (WWW-Authenticate).
    """

    def __init__(self, kind: Kind, message: str, *, needs: Sequence[str] = (), **data: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.needs = needs
        self.message = message
        self.data: Mapping[str, Any] = {"kind": kind.value, **data}


class Refusal(Exception):
    """Rejects a request before it becomes a call. The revision determines the error code and the HTTP status."""

    def __init__(self, fault: Fault, revision: Revision = DEFAULT_REVISION) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.revision = revision


def draining(revision: Revision = DEFAULT_REVISION) -> Refusal:
    """Return the refusal of a request that arrives during shutdown. The request was not started; retrying is safe."""
    fault = Fault(Kind.DRAINING, "The server is shutting down: try again in a second", retryAfterMs=1000)
    return Refusal(fault, revision)


def unknown_method(method: str) -> Fault:
    """Return the fault for a method that does not exist in the request's revision."""
    return Fault(Kind.METHOD_NOT_FOUND, f"Unknown method: {shortened(method)}")


def fault_of(error: DomainError) -> Fault:
    """Return the fault that reports a domain error to the client."""
    if isinstance(error, MissingCapability):
        return Fault(error.kind, error.message, requiredCapabilities=error.required)
    needs = error.scopes if isinstance(error, NotFound | MissingScope) else ()
    return Fault(error.kind, error.message, needs=needs, **error.details)


def unexpected(problem: BaseException, where: str) -> Fault:
    """Log an unexpected exception, and return a fault that reveals only an error id; `where` is logged."""
    error_id = token_hex(8)
    _log.error("internal error", error_id=error_id, where=where, exception=stack_trace(problem))
    return Fault(Kind.INTERNAL, f"Internal error (error id {error_id})", errorId=error_id)


def encode_fault(fault: Fault, request_id: RequestId | None, revision: Revision = DEFAULT_REVISION) -> bytes:
    """Return the error frame with the revision's code; `data` that cannot be encoded as JSON is omitted."""
    code, message = revision.error_codes[fault.kind], sendable(fault.message)
    try:
        return jsonrpc.encode_error(request_id, code, message, fault.data, null_id=revision.null_error_id)
    except Exception:
        data = {"kind": fault.kind.value}
        return jsonrpc.encode_error(request_id, code, message, data, null_id=revision.null_error_id)
