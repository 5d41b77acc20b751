"""The port of usage: how much each principal has used on each day."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol


class DailyUsage(NamedTuple):
    """What a principal has used on a day (UTC): calls of tools, and tokens of the language model."""

    principal: str
    day: date
    calls: int
    tokens: int


class UsageStore(Protocol):
    """Counts usage. Counts of the last seconds may be lost with the process."""

    def count(self, principal: str, *, calls: int = 0, tokens: int = 0) -> None:
        """Add to the usage of a principal today; never waits."""

    async def list(self, since: date, principal: str | None = None) -> Sequence[DailyUsage]:
        """Return the usage of each principal, or of one, on each day since `since`, latest day first, then by name.

        Raises:
            StorageUnavailable: the store cannot be read.
        """
