"""Rate limits by GCRA (the leaky bucket as a meter, ITU-T I.371), which needs one number per counter.

A rate allows a burst immediately, and then a constant number of units per minute.
"""

from typing import NamedTuple

from tfo_mcp.value_objects import value_object


@value_object
class Rate:
    """A rate limit: units per minute, and the maximum burst."""

    per_minute: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds between two units after the burst is used up."""
        return 60.0 / self.per_minute


class Admission(NamedTuple):
    """The decision of a rate limiter.

    `remaining` is the number of units that are available immediately. `retry_after` is in seconds until the request
    would be allowed, `reset_after` in seconds until the full burst is available again.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float


def admit(rate: Rate, full_at: float, now: float, cost: int = 1) -> tuple[Admission, float]:
    """Return the decision about taking `cost` units, and the new value of the counter.

    Args:
        full_at: the counter: the time when the full burst is available again, in seconds of any clock.
        now: the current time of the same clock.
    """
    full_at = max(full_at, now)
    used = full_at + cost * rate.interval
    wait = used - now - rate.burst * rate.interval
    allowed = wait <= 1e-9
    full_at = used if allowed else full_at
    remaining = int((rate.burst * rate.interval - (full_at - now)) / rate.interval + 1e-9)
    return Admission(allowed, max(0, remaining), max(0.0, wait), full_at - now), full_at
