"""MemoryUsageStore: the usage counted by this process, the embedded default."""

from collections.abc import Callable, Sequence
from datetime import date
from time import time

from tfo_mcp.application.ports import DailyUsage
from tfo_mcp.application.usage_counts import UsageCounts


class MemoryUsageStore:
    """Usage by principal and day, at most 10,000 of them."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._counts = UsageCounts(clock)

    def count(self, principal: str, *, calls: int = 0, tokens: int = 0) -> None:
        """Add to the usage of a principal today."""
        self._counts.add(principal, calls, tokens)

    async def list(self, since: date, principal: str | None = None) -> Sequence[DailyUsage]:
        """Return the usage since a day, of one principal if given."""
        found = [
            usage
            for usage in self._counts.held()
            if usage.day >= since and (principal is None or usage.principal == principal)
        ]
        return sorted(found, key=lambda usage: usage.day, reverse=True)
