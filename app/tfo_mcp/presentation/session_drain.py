"""SessionDrain: waits for the end of a session's calls after `shutdown`, in this process and in its replicas.

Knows no method, frame or store: replicas are asked through the session bus.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from tfo_mcp.application.ports import SessionBus, Use
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.ids import SessionId

_ASK_SECONDS = 0.1  # then twice as long each time: every question goes to every replica
_LONGEST_ASK_SECONDS = 2.0


class SessionDrain:
    """Lets the calls of sessions finish, for `seconds` at most."""

    def __init__(self, bus: SessionBus, seconds: float) -> None:
        self._bus = bus
        self._seconds = seconds

    async def wait(self, session_id: SessionId, *, own: Callable[[], Awaitable[None]], is_shared: bool) -> None:
        """Wait until no call of a session is in flight, or the time is over.

        Args:
            own: waits for the calls in this process.
            is_shared: whether replicas may serve the session, too.
        """
        with anyio.move_on_after(self._seconds):
            await own()
            if is_shared:
                await self._wait_for_replicas(session_id)

    async def _wait_for_replicas(self, session_id: SessionId) -> None:
        """Wait until every process has answered that it has no call of the session."""
        pause = _ASK_SECONDS
        while True:
            with suppress(StateUnavailable):
                if not await self._bus.used([session_id], Use.CALLS):
                    return
            await anyio.sleep(pause)
            pause = min(2 * pause, _LONGEST_ASK_SECONDS)
