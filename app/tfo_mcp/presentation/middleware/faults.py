"""Faults: the one boundary where exceptions become what a client is told."""

from tfo_mcp.domain.errors import DomainError
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.faults import Fault, fault_of, unexpected


async def faults(call: Call, call_next: Next) -> bytes:
    """Serve the call.

    Raises:
        Fault: and nothing else, whatever went wrong.
    """
    try:
        return await call_next(call)
    except Fault:
        raise
    except DomainError as problem:
        raise fault_of(problem) from None
    except Exception as problem:
        raise unexpected(problem, call.method) from None
