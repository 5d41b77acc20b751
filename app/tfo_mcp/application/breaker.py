"""Breaker: stops calls to a dependency that has failed several times, and lets one probe through from time to time.

Knows no dependency.
"""

from collections.abc import Callable
from time import monotonic


class Breaker:
    """Closed: calls pass. Open, after consecutive failures: none passes, except one probe in each pause (half-open).

    Args:
        failures: consecutive failures that open the breaker.
        pause_seconds: seconds between two probes.
    """

    def __init__(self, failures: int = 3, pause_seconds: float = 1.0, clock: Callable[[], float] = monotonic) -> None:
        self._most_failures = failures
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._failures = 0
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the latest calls failed, and none has succeeded since."""
        return self._failures >= self._most_failures

    def permits(self) -> bool:
        """Return whether a call may be made now; while the breaker is open, the call is the probe."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next_probe:
            return False
        self._next_probe = now + self._pause_seconds
        return True

    def succeeded(self) -> bool:
        """Record a success; return whether it closed the breaker."""
        was_open, self._failures = self.is_open, 0
        return was_open

    def failed(self) -> bool:
        """Record a failure; return whether it opened the breaker."""
        was_open = self.is_open
        self._failures += 1
        self._next_probe = self._clock() + self._pause_seconds
        return self.is_open and not was_open
