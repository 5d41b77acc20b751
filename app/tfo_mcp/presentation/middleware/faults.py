"""Faults: the single boundary that converts exceptions into the errors that clients receive."""

from tfo_mcp.domain.errors import DomainError
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.faults import Fault, fault_of, unexpected


async def faults(call: Call, call_next: Next) -> bytes:
    """Serve the call, converting every exception into a `Fault`.

    Raises:
        Fault: the call failed. No other exception is raised, except cancellation.
    """
    try:
        return await call_next(call)
    except Fault:
        raise
    except DomainError as problem:
        raise fault_of(problem) from None
    except Exception as problem:
        raise unexpected(problem, call.method) from None
