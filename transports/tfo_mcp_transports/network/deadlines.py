"""Deadlines: enforced by a periodic sweep instead of a timer for each.

A timer costs a microsecond or two to set and to cancel, for every request; hardly any ever rings.
"""

from collections.abc import Callable
from time import monotonic

import anyio

_LOOK_EVERY_SECONDS = 0.1


class Deadlines:
    """Calls what has been waiting for longer than `seconds`, once each."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[Callable[[], None], float] = {}  # oldest first

    def start(self, act: Callable[[], None]) -> None:
        """Call `act` when the time is over, unless it is stopped before."""
        self._since[act] = monotonic()

    def stop(self, act: Callable[[], None]) -> None:
        """Do not call `act`; what was called or stopped already is no error."""
        self._since.pop(act, None)

    def look(self) -> None:
        """Call what is overdue now."""
        oldest_allowed = monotonic() - self.seconds
        overdue = []
        for act, since in self._since.items():
            if since > oldest_allowed:
                break
            overdue.append(act)
        for act in overdue:
            del self._since[act]
            act()


async def sweep(*patiences: Deadlines) -> None:
    """Look again and again, until cancelled."""
    while True:
        await anyio.sleep(_LOOK_EVERY_SECONDS)
        for patience in patiences:
            patience.look()
