"""Authentication: who calls.

The owner of the process is the caller on stdio and may do everything. A network caller without credentials is
anonymous and gets what `security.anonymous` allows.
"""

from typing import Literal

from app.application.context import Caller
from app.domain.errors import Unauthenticated
from app.presentation.middleware import Following
from app.presentation.protocol.call import Call

OWNER = Caller("owner", "all")


class Authentication:
    """Sets the call's caller."""

    def __init__(self, anonymous: Literal["none", "read", "all"]) -> None:
        self._anonymous = Caller("anonymous", anonymous)

    async def __call__(self, call: Call, following: Following) -> bytes:
        """Serve the call in the caller's name.

        Raises:
            Unauthenticated: anonymous callers are not served.
        """
        call.caller = self.caller(local=call.facts.local)
        return await following(call)

    def caller(self, *, local: bool) -> Caller:
        """Return who stands behind a connection.

        Raises:
            Unauthenticated: anonymous callers are not served.
        """
        if local:
            return OWNER
        if self._anonymous.tools == "none":
            raise Unauthenticated("Anonymous callers are not served here (setting security.anonymous)")
        return self._anonymous
