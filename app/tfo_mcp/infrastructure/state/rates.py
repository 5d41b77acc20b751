"""MemoryRateStore: counters of this process. The oldest are forgotten when there are too many: they are full again
anyway, or somebody makes up names, whose counters are worth nothing."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from tfo_mcp.domain.rates import Admission, Rate, admit

_MOST_COUNTERS = 100_000


class MemoryRateStore:
    """Counters by name, the longest unused first."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, name: str, rate: Rate, cost: int = 1) -> Admission:
        """Count so many more, if they are let through."""
        admission, full_at = admit(rate, self._full_at.get(name, 0.0), self._clock(), cost)
        if cost:
            self._full_at[name] = full_at
            self._full_at.move_to_end(name)
            if len(self._full_at) > _MOST_COUNTERS:
                self._full_at.popitem(last=False)
        return admission
