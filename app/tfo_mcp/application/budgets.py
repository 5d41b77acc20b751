"""Budgets: count how much of a shared resource each account holds, and limit it per account and in total.

An account's share shrinks as the resource fills up: it may hold at most as much as it leaves free for others (the
dynamic threshold of shared-memory switches, Choudhury and Hahne, 1998). One account can therefore take at most half of
a resource, and some always remains for new accounts. A quarter of the capacity is reserved for accounts with
credentials. Knows no transport.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from tfo_mcp.domain.accounts import OWNER_ACCOUNT, is_anonymous
from tfo_mcp.domain.errors import RateLimited
from tfo_mcp.value_objects import value_object

_RETRY_SECONDS = 1.0
SMALL_BYTES = 4096
"""Messages up to this size are not charged by bytes, since the connections or tasks that hold them are limited."""


class Budget:
    """Counts units of one resource by account.

    Args:
        name: name of the resource in error messages, in the plural.
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
        """Return whether an account may take `amount` more units."""
        if account == OWNER_ACCOUNT:
            return True
        wanted = self._used.get(account, 0) + amount
        capacity = self.capacity - self.capacity // 4 if is_anonymous(account) else self.capacity
        return wanted <= self.per_account and wanted <= capacity - self._total

    def resize(self, other: "Budget") -> None:
        """Copy the limits of another budget; units in use stay charged."""
        self.per_account = other.per_account
        self.capacity = other.capacity

    def add(self, account: str, amount: int = 1) -> None:
        """Charge `amount` units to an account, even if they exceed the limits."""
        self._used[account] = self._used.get(account, 0) + amount
        self._total += amount

    def require(self, account: str, amount: int = 1) -> None:
        """Check that an account may take `amount` more units.

        Raises:
            RateLimited: they exceed the limits.
        """
        if not self.fits(account, amount):
            raise self.exceeded()

    def take(self, account: str, amount: int = 1) -> None:
        """Charge `amount` units to an account.

        Raises:
            RateLimited: they exceed the limits.
        """
        self.require(account, amount)
        self.add(account, amount)

    def give_back(self, account: str, amount: int = 1) -> None:
        """Release `amount` units of an account."""
        left = self._used.get(account, 0) - amount
        if left > 0:
            self._used[account] = left
        else:
            self._used.pop(account, None)
        self._total -= amount

    @contextmanager
    def held(self, account: str, amount: int = 1) -> Iterator[None]:
        """Charge `amount` units to an account until the context exits.

        Raises:
            RateLimited: they exceed the limits.
        """
        self.take(account, amount)
        try:
            yield
        finally:
            self.give_back(account, amount)

    def exceeded(self) -> RateLimited:
        """Return the error for an account whose share is used up."""
        message = (
            f"Your share of {self.name} is used up: at most {self.per_account} for one client, and less while the "
            f"server is busy; finish or close some, or try again later (setting {self._setting})"
        )
        return RateLimited(message, _RETRY_SECONDS, self.name, self.per_account)


@value_object
class ClientBudgets:
    """Budgets of the resources that all clients share; see the settings `limits.*`."""

    streams: Budget
    subscriptions: Budget
    request_bytes: Budget
    response_bytes: Budget

    def resize(self, other: "ClientBudgets") -> None:
        """Copy the limits of other budgets; units in use stay charged."""
        for field in fields(self):
            getattr(self, field.name).resize(getattr(other, field.name))
