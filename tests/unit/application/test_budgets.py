"""Budgets: limits of one account, fair shares of a busy resource, a reserve for callers with credentials."""

from itertools import pairwise

import pytest

from tfo_mcp.application.budgets import Budget
from tfo_mcp.domain.accounts import OWNER_ACCOUNT
from tfo_mcp.domain.errors import RateLimited


def fill(budget: Budget, account: str) -> int:
    """Take as much as the account may have, and return that number."""
    while budget.fits(account):
        budget.take(account)
    return budget.used(account)


def test_an_account_is_held_to_its_limit_and_told_the_setting() -> None:
    budget = Budget("streams", per_account=3, capacity=100, setting="limits.streams")
    assert fill(budget, "key:a") == 3
    with pytest.raises(RateLimited, match=r"streams.*limits\.streams"):
        budget.take("key:a")
    budget.give_back("key:a")
    budget.take("key:a")
    assert budget.used("key:a") == budget.total == 3


def test_no_account_takes_more_than_half_and_a_newcomer_always_finds_some() -> None:
    budget = Budget("streams", per_account=1000, capacity=64, setting="limits.streams")
    taken = [fill(budget, f"key:{number}") for number in range(5)]
    assert taken[0] == 32
    assert all(0 < later <= earlier for earlier, later in pairwise(taken))


def test_all_anonymous_accounts_together_leave_a_quarter_to_callers_with_credentials() -> None:
    budget = Budget("streams", per_account=1000, capacity=64, setting="limits.streams")
    for number in range(100):
        fill(budget, f"network:192.0.2.{number}")
    assert budget.total <= 48
    assert fill(budget, "key:a") >= 8


def test_the_owner_of_the_process_is_not_limited() -> None:
    budget = Budget("streams", per_account=1, capacity=1, setting="limits.streams")
    budget.take(OWNER_ACCOUNT, 50)
    assert budget.used(OWNER_ACCOUNT) == 50


def test_what_is_held_is_given_back_when_the_context_is_left() -> None:
    budget = Budget("streams", per_account=5, capacity=50, setting="limits.streams")
    with budget.held("key:a", 5):
        assert not budget.fits("key:a")
    assert budget.total == 0


def test_new_limits_hold_at_once_and_what_is_charged_stays() -> None:
    budget = Budget("streams", per_account=5, capacity=50, setting="limits.streams")
    fill(budget, "key:a")
    budget.resize(Budget("streams", per_account=2, capacity=50, setting="limits.streams"))
    budget.give_back("key:a", 3)
    assert not budget.fits("key:a")
    budget.give_back("key:a")
    assert budget.fits("key:a")
