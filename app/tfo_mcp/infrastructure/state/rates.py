"""MemoryRateStore: the rate limit counters of this process.

When there are too many, the least recently used are dropped. These have refilled, or belong to invented names.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from tfo_mcp.domain.rates import Admission, Rate, admit

_MOST_COUNTERS = 100_000


class MemoryRateStore:
    """Counters by name, least recently used first."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, name: str, rate: Rate, cost: int = 1) -> Admission:
        """Consume `cost` from a counter if the rate allows it, and return the decision."""
        admission, full_at = admit(rate, self._full_at.get(name, 0.0), self._clock(), cost)
        if cost:
            self._full_at[name] = full_at
            self._full_at.move_to_end(name)
            if len(self._full_at) > _MOST_COUNTERS:
                self._full_at.popitem(last=False)
        return admission
