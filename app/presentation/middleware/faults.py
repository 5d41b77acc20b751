"""Faults: the one boundary where exceptions become what a client is told.

Domain errors were written for the client. Everything else is unexpected: the client gets "Internal error" and an id,
the log gets the rest under the same id.
"""

from secrets import token_hex

import structlog

from app.domain.errors import DomainError, Kind
from app.presentation.middleware import Following
from app.presentation.protocol.call import Call
from app.presentation.protocol.faults import Fault, fault_of

_log = structlog.get_logger("tfo_mcp.faults")


async def faults(call: Call, following: Following) -> bytes:
    """Serve the call.

    Raises:
        Fault: and nothing else, whatever went wrong.
    """
    try:
        return await following(call)
    except Fault:
        raise
    except DomainError as problem:
        raise fault_of(problem) from None
    except Exception as problem:
        raise unexpected(problem, call.method) from None


def unexpected(problem: Exception, where: str) -> Fault:
    """Log an unexpected exception and return the fault that hides it behind an id."""
    error_id = token_hex(8)
    _log.error("internal error", error_id=error_id, where=where, exc_info=problem)
    return Fault(Kind.INTERNAL, f"Internal error (error id {error_id})", errorId=error_id)
