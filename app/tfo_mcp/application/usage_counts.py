"""UsageCounts: the usage that is not stored yet, by principal and day. Bounded; knows no store."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from time import time

from tfo_mcp.application.ports import DailyUsage

_MOST_ENTRIES = 10_000
_DAY = 86_400
_EPOCH = date(1970, 1, 1)
OTHERS = "(others)"
"""The principal that counts for all beyond the bound."""


class UsageCounts:
    """Adds up calls and tokens."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def add(self, principal: str, calls: int, tokens: int) -> None:
        """Add to the usage of a principal today."""
        self._add((principal, int(self._clock() // _DAY)), calls, tokens)

    def put_back(self, usages: Iterable[DailyUsage]) -> None:
        """Add usage that could not be stored."""
        for usage in usages:
            self._add((usage.principal, (usage.day - _EPOCH).days), usage.calls, usage.tokens)

    def held(self) -> Sequence[DailyUsage]:
        """Return the usage in order of principal and day; it stays."""
        return [
            DailyUsage(name, _EPOCH + timedelta(day), *counts) for (name, day), counts in sorted(self._counts.items())
        ]

    def take(self) -> Sequence[DailyUsage]:
        """Return the usage in order of principal and day, and begin again."""
        taken = self.held()
        self._counts = {}
        return taken

    def _add(self, key: tuple[str, int], calls: int, tokens: int) -> None:
        before = self._counts.get(key)
        if before is None and len(self._counts) >= _MOST_ENTRIES:
            key = OTHERS, key[1]
            before = self._counts.get(key)
        self._counts[key] = (calls, tokens) if before is None else (before[0] + calls, before[1] + tokens)
