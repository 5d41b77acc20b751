"""RedisCache: cached values that all replicas share, bounded by their bytes; those that expire first are dropped first.

Keys are digests, so Redis holds no arguments.
"""

from tfo_mcp.application.ports import Lookup
from tfo_mcp.infrastructure.redis.client import RedisClient

_LARGEST_BYTES = 256 * 1024
_MOST_BYTES = 64 * 1024 * 1024


class RedisCache:
    """Values by key, and the makers of missing ones."""

    def __init__(self, client: RedisClient, most_bytes: int = _MOST_BYTES) -> None:
        self._client = client
        self._most_bytes = most_bytes

    async def look_up(self, key: str, token: str, claim_seconds: float) -> Lookup:
        """Return the value of a key, or the token of its maker."""
        value, maker = await self._client.run("cache_look_up", key, token, int(claim_seconds * 1000))
        return Lookup(None, maker.decode()) if maker else Lookup(value, "")

    async def settle(self, key: str, token: str, value: bytes | None, seconds: float) -> None:
        """Keep a value, and give up the claim."""
        kept = value if value is not None and len(value) <= _LARGEST_BYTES else None
        milliseconds = 0 if kept is None else max(1, int(seconds * 1000))
        await self._client.run("cache_settle", key, token, kept or b"", milliseconds, self._most_bytes)
