"""The account that a client's use of resources is charged to."""

import pytest

from tfo_mcp.domain.access import OWNER, READING, Caller
from tfo_mcp.domain.accounts import account_of, is_anonymous, network_of

ANONYMOUS = Caller("anonymous", READING, "anonymous")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_an_address_counts_for_its_network(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_callers_without_credentials_are_charged_by_network() -> None:
    assert account_of(ANONYMOUS, "192.0.2.7") == account_of(ANONYMOUS, "::ffff:192.0.2.7")
    assert account_of(ANONYMOUS, "192.0.2.7") != account_of(ANONYMOUS, "192.0.2.8")
    assert is_anonymous(account_of(ANONYMOUS, "192.0.2.7"))


def test_callers_with_credentials_are_charged_by_principal_wherever_they_connect_from() -> None:
    caller = Caller("key:abc", READING, "key", "abc")
    assert account_of(caller, "192.0.2.7") == account_of(caller, "192.0.2.8") == "key:abc"
    assert not is_anonymous(account_of(caller, "192.0.2.7"))
    assert account_of(OWNER, None) == "owner"
