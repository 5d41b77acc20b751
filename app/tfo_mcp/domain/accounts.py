"""Accounts: the units that resource usage is charged to and limited by.

The account of a caller with credentials is its principal. The account of an anonymous caller is its network: an IPv4
address, or the /64 prefix of an IPv6 address, since one client usually controls a whole prefix. The account of the
process owner is not limited.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from tfo_mcp.domain.access import OWNER, Caller

OWNER_ACCOUNT = OWNER.name
_IDENTIFIED = frozenset({"owner", "key", "token"})


def account_of(caller: Caller, address: str | None) -> str:
    """Return the account of a caller that connects from `address`."""
    return caller.name if caller.method in _IDENTIFIED else _network_account(address)


def is_anonymous(account: str) -> bool:
    """Return whether an account is a network and not a principal."""
    return account.startswith("network:")


@lru_cache(maxsize=4096)
def _network_account(address: str | None) -> str:
    return f"network:{network_of(address)}"


@lru_cache(maxsize=4096)
def network_of(address: str | None) -> str:
    """Return the network of an address; text that is not an IP address is returned unchanged."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        prefix = int(parsed) >> 64 << 64
        return f"{IPv6Address(prefix)}/64"
    return str(parsed)
