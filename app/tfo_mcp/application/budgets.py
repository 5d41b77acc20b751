"""Budgets: how much of one resource each account holds, within a limit per account and a capacity for all.

The share of an account shrinks as the resource is used up: an account may hold at most as much as it leaves free for
others (the dynamic threshold of shared-memory switches, Choudhury and Hahne, 1998). So one account takes half of a
resource at most, a newcomer always finds some, and nobody is limited while the resource is idle. A quarter of the
capacity is reserved for accounts with credentials. Knows no transport; counts only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from tfo_mcp.domain.accounts import OWNER_ACCOUNT, is_anonymous
from tfo_mcp.domain.errors import RateLimited

_RETRY_SECONDS = 1.0
SMALL_BYTES = 4096
"""Messages up to this size are not charged by their bytes: what holds them, a connection or a task, is counted."""


class Budget:
    """Counts units of one resource by account.

    Args:
        name: the resource, in the plural, as it is named to clients.
        per_account: maximum units of one account.
        capacity: maximum units of all accounts together.
        setting: the setting that raises the limit, named in the error.
    """

    def __init__(self, name: str, per_account: int, capacity: int, setting: str) -> None:
        self.name = name
        self.per_account = per_account
        self.capacity = capacity
        self._setting = setting
        self._used: dict[str, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        """Units held by all accounts."""
        return self._total

    def used(self, account: str) -> int:
        """Return the units that an account holds."""
        return self._used.get(account, 0)

    def fits(self, account: str, amount: int = 1) -> bool:
        """Return whether an account may take `amount` units more."""
        if account == OWNER_ACCOUNT:
            return True
        wanted = self._used.get(account, 0) + amount
        capacity = self.capacity - self.capacity // 4 if is_anonymous(account) else self.capacity
        return wanted <= self.per_account and wanted <= capacity - self._total

    def resize(self, other: "Budget") -> None:
        """Take over the limits of another budget; what is charged stays."""
        self.per_account = other.per_account
        self.capacity = other.capacity

    def add(self, account: str, amount: int = 1) -> None:
        """Charge `amount` units to an account, whether they fit or not."""
        self._used[account] = self._used.get(account, 0) + amount
        self._total += amount

    def require(self, account: str, amount: int = 1) -> None:
        """Check that `amount` units more fit.

        Raises:
            RateLimited: they do not.
        """
        if not self.fits(account, amount):
            raise self.exceeded()

    def take(self, account: str, amount: int = 1) -> None:
        """Charge `amount` units to an account.

        Raises:
            RateLimited: they do not fit.
        """
        self.require(account, amount)
        self.add(account, amount)

    def give_back(self, account: str, amount: int = 1) -> None:
        """Return `amount` units that an account has taken."""
        left = self._used.get(account, 0) - amount
        if left > 0:
            self._used[account] = left
        else:
            self._used.pop(account, None)
        self._total -= amount

    @contextmanager
    def held(self, account: str, amount: int = 1) -> Iterator[None]:
        """Charge `amount` units to an account until the context is left.

        Raises:
            RateLimited: they do not fit.
        """
        self.take(account, amount)
        try:
            yield
        finally:
            self.give_back(account, amount)

    def exceeded(self) -> RateLimited:
        """Return the error for a client whose share is used up."""
        message = (
            f"Your share of {self.name} is used up: at most {self.per_account} for one client, and less while the "
            f"server is busy; finish or close some, or try again later (setting {self._setting})"
        )
        return RateLimited(message, _RETRY_SECONDS, self.name, self.per_account)


@dataclass(frozen=True, slots=True)
class ClientBudgets:
    """What one client may hold at once of what all clients share; see the settings `limits.*`."""

    streams: Budget
    subscriptions: Budget
    request_bytes: Budget
    response_bytes: Budget

    def resize(self, other: "ClientBudgets") -> None:
        """Take over the limits of other budgets; what is charged stays."""
        for field in fields(self):
            getattr(self, field.name).resize(getattr(other, field.name))
