"""Faults: the one boundary where exceptions become what a client is told."""

from tfo_mcp.domain.errors import DomainError
from tfo_mcp.presentation.middleware import Following
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.faults import Fault, fault_of, unexpected


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
