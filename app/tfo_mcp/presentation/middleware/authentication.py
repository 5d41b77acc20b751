"""Authentication: re-checks the caller's credentials before each call.

The transport authenticates the caller when it accepts a request or connection. A connection may outlive an API key or
a token, so each call checks again whether the credentials were revoked or have expired.
"""

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.queries import CheckCredentials
from tfo_mcp.domain.errors import Unauthenticated
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call

NO_LONGER_GOOD = "The API key or token of this connection is no longer valid"
_WITHOUT_CREDENTIALS = frozenset({"owner", "anonymous"})


class Authentication:
    """Rejects calls whose credentials are no longer valid."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call if its caller's credentials are still valid.

        Raises:
            Unauthenticated: the caller's key was revoked, or the key or token has expired.
        """
        caller = call.caller
        if caller.method not in _WITHOUT_CREDENTIALS and not await self._bus.handle(CheckCredentials(caller)):
            raise Unauthenticated(NO_LONGER_GOOD, is_wrong=True)
        return await call_next(call)
