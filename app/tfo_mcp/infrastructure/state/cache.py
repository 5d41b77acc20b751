"""MemoryCache: cached values of this process, bounded by their bytes; the least recently used are dropped first."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from tfo_mcp.application.ports import Lookup

LARGEST_BYTES = 256 * 1024
_MOST_BYTES = 64 * 1024 * 1024
_OVERHEAD = 256  # bytes of memory per value in addition to its own
_MOST_CLAIMS = 10_000


class MemoryCache:
    """Values by key, least recently used first, and the makers of missing ones."""

    def __init__(self, most_bytes: int = _MOST_BYTES, clock: Callable[[], float] = monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._claims: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._size = 0

    async def look_up(self, key: str, token: str, claim_seconds: float) -> Lookup:
        """Return the value of a key, or the token of its maker."""
        now = self._clock()
        value, until = self._values.get(key, (b"", 0.0))
        if until > now:
            self._values.move_to_end(key)
            return Lookup(value, "")
        self._drop(key)
        maker, claimed_until = self._claims.get(key, ("", 0.0))
        if claimed_until > now:
            return Lookup(None, maker)
        self._claims[key] = token, now + claim_seconds
        if len(self._claims) > _MOST_CLAIMS:
            self._claims.popitem(last=False)
        return Lookup(None, token)

    async def settle(self, key: str, token: str, value: bytes | None, seconds: float) -> None:
        """Keep a value, and give up the claim."""
        if self._claims.get(key, ("", 0.0))[0] == token:
            del self._claims[key]
        if value is None or len(value) > LARGEST_BYTES:
            return
        self._drop(key)
        self._values[key] = value, self._clock() + seconds
        self._size += len(value) + _OVERHEAD
        while self._size > self._most_bytes:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        if key in self._values:
            self._size -= len(self._values.pop(key)[0]) + _OVERHEAD
