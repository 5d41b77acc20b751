"""Outcome: notes on each call how it ended, for the middleware that reports calls."""

from tfo_mcp.domain.errors import DomainError, Kind
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call, Outcome
from tfo_mcp.presentation.protocol.faults import Fault


async def note_outcome(call: Call, call_next: Next) -> bytes:
    """Serve the call and set `call.outcome`; a tool that failed has set it already."""
    try:
        return await call_next(call)
    except (Fault, DomainError) as problem:
        call.outcome = problem.kind
        raise
    except Exception:
        call.outcome = Kind.INTERNAL
        raise
    except BaseException:
        call.outcome = call.stopped or Outcome.CANCELLED
        raise
