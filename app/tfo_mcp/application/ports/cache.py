"""The port of cached values, of which only one of several concurrent callers makes a missing one."""

from typing import NamedTuple, Protocol


class Lookup(NamedTuple):
    """A cached value; or, if `value` is None, the token of the caller that makes it."""

    value: bytes | None
    maker: str


class Cache(Protocol):
    """Keeps values for a while. It may be shared by replicas.

    Both methods raise StateUnavailable while a cache outside the process cannot be reached.
    """

    async def look_up(self, key: str, token: str, claim_seconds: float) -> Lookup:
        """Return the value of a key. Without one, the first caller becomes its maker, for at most `claim_seconds`.

        Args:
            token: identifies this caller; the maker in the result if the caller is to make the value.
        """

    async def settle(self, key: str, token: str, value: bytes | None, seconds: float) -> None:
        """Keep the value that this caller has made, or nothing if `value` is None, and give up its claim.

        A value that is larger than the cache allows is not kept. A caller whose claim has expired keeps its value, too.
        """
