"""Faults: the one boundary where exceptions become what a client is told."""

from app.domain.errors import DomainError
from app.presentation.middleware import Following
from app.presentation.protocol.call import Call
from app.presentation.protocol.faults import Fault, fault_of, unexpected


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
