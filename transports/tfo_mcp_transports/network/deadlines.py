"""Deadlines: enforced by a periodic sweep instead of one timer each.

Setting and cancelling a timer costs a microsecond or two for every request, and hardly any timer ever fires.
"""

from collections.abc import Callable
from time import monotonic

import anyio

_LOOK_EVERY_SECONDS = 0.1


class Deadlines:
    """Calls each registered callback once, when `seconds` have passed since its registration."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[Callable[[], None], float] = {}  # oldest first

    def start(self, act: Callable[[], None]) -> None:
        """Start or restart the deadline of `act`, which is called when the time is over."""
        self._since.pop(act, None)  # an entry that is only assigned again keeps its place
        self._since[act] = monotonic()

    def stop(self, act: Callable[[], None]) -> None:
        """Cancel the deadline of `act`; a no-op if it was called or cancelled already."""
        self._since.pop(act, None)

    def look(self) -> None:
        """Call and forget every overdue callback."""
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
    """Enforce the deadlines every 0.1 seconds, until cancelled."""
    while True:
        await anyio.sleep(_LOOK_EVERY_SECONDS)
        for patience in patiences:
            patience.look()
