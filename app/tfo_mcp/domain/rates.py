"""Rates: how many calls there may be, by GCRA (the leaky bucket as a meter, ITU-T I.371): one number for each counter.

A rate lets through a burst at once, and then so many a minute, evenly.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a minute, of which so many at once."""

    per_minute: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds from one to the next when the burst is used up."""
        return 60.0 / self.per_minute


class Admission(NamedTuple):
    """What a counter says: whether one more is let through, how many more there could be at once, seconds until the
    next is, and until all of the burst is there again."""

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float


def admit(rate: Rate, full_at: float, now: float, cost: int = 1) -> tuple[Admission, float]:
    """Return whether so many more are let through, and when the counter will be full again then.

    Args:
        full_at: when the counter is full again after those that came before, in seconds of any clock.
    """
    full_at = max(full_at, now)
    used = full_at + cost * rate.interval
    wait = used - now - rate.burst * rate.interval
    allowed = wait <= 1e-9
    full_at = used if allowed else full_at
    remaining = int((rate.burst * rate.interval - (full_at - now)) / rate.interval + 1e-9)
    return Admission(allowed, max(0, remaining), max(0.0, wait), full_at - now), full_at
