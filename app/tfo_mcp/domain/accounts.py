"""Accounts: whom the server charges for what a client makes it keep or do.

A caller with credentials is charged under its principal. A caller without is charged under its network: one IPv4
address, or the /64 prefix of an IPv6 address, since one client commands a whole prefix. The owner of the process is
never limited.
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
    """Return whether an account stands for a network, not for a principal."""
    return account.startswith("network:")


@lru_cache(maxsize=4096)
def _network_account(address: str | None) -> str:
    return f"network:{network_of(address)}"


@lru_cache(maxsize=4096)
def network_of(address: str | None) -> str:
    """Return the network that an address counts for; text that is no IP address counts for itself."""
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
