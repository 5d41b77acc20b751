"""RedisRateStore: rate limit counters that all replicas share, by the clock of Redis, in one round trip.

While Redis is down, each replica counts for itself, against its share of the limit.
"""

from tfo_mcp.application.ports import RateStore
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.rates import Admission, Rate
from tfo_mcp.infrastructure.redis.client import RedisClient
from tfo_mcp.infrastructure.redis.replicas import Replicas


class RedisRateStore:
    """Counters by name; `kind` separates the counters of several stores.

    Args:
        local: counts while Redis is down.
    """

    def __init__(self, client: RedisClient, replicas: Replicas, local: RateStore, kind: str) -> None:
        self._client = client
        self._replicas = replicas
        self._local = local
        self._kind = kind

    async def take(self, name: str, rate: Rate, cost: int = 1) -> Admission:
        """Consume `cost` from a counter if the rate allows it, and return the decision."""
        try:
            allowed, remaining, retry_after, reset_after = await self._client.run(
                "rate_take", f"{self._kind}:{name}", repr(rate.interval), rate.burst, cost
            )
        except StateUnavailable:
            share = self._replicas.count
            return await self._local.take(name, Rate(rate.per_minute / share, max(1, rate.burst // share)), cost)
        return Admission(allowed == 1, remaining, float(retry_after), float(reset_after))
