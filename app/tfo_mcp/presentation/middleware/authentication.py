"""Authentication: a call is served while its caller's credentials are good.

Who calls was found out when the request, or its connection, came in. A connection, and a call that lasts, may outlive a
key or a token.
"""

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.queries import CheckCredentials
from tfo_mcp.domain.errors import Unauthenticated
from tfo_mcp.presentation.middleware import Next
from tfo_mcp.presentation.protocol.call import Call

NO_LONGER_GOOD = "The API key or token of this connection is no longer good"
_WITHOUT_CREDENTIALS = frozenset({"owner", "anonymous"})


class Authentication:
    """Looks at the caller of each call."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, call: Call, call_next: Next) -> bytes:
        """Serve the call in its caller's name.

        Raises:
            Unauthenticated: the caller's key was revoked, or the key or token has expired.
        """
        caller = call.caller
        if caller.method not in _WITHOUT_CREDENTIALS and not await self._bus.handle(CheckCredentials(caller)):
            raise Unauthenticated(NO_LONGER_GOOD, is_wrong=True)
        return await call_next(call)
