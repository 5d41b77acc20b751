"""Replicas: announces this process to the others with a lease, and knows how many there are.

Owns the numbers of sessions that live in this process only, since they have their own connection. They stop counting
when the lease ends, so a process that was killed does not block the limits.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from secrets import token_hex

import anyio

from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.infrastructure.redis.client import RedisClient

LEASE_SECONDS = 5.0
_BEAT_SECONDS = 1.0
ALL = ""  # the account that stands for all of them


class Replicas:
    """This process among its replicas: `own` is its id, `count` the latest known number of them, this one included."""

    def __init__(self, client: RedisClient) -> None:
        self.own = token_hex(6)
        self.count = 1
        self.first_beat = anyio.Event()
        self.telling = anyio.Lock()
        """Held while the numbers of standing sessions are sent, so that they arrive in order."""
        self._client = client
        self._standing: Callable[[], Mapping[str, int]] = dict

    def report_standing(self, standing: Callable[[], Mapping[str, int]]) -> None:
        """Set the function that returns the numbers of standing sessions by account."""
        self._standing = standing

    async def beat(self) -> None:
        """Renew the lease.

        Raises:
            StateUnavailable: Redis is down; the latest known number of replicas stays.
        """
        async with self.telling:
            standing = self._standing()
            pairs = [value for pair in {**standing, ALL: sum(standing.values())}.items() for value in pair]
            self.count = await self._client.run("replica_beat", self.own, int(LEASE_SECONDS * 1000), *pairs)
        self.first_beat.set()

    async def tell_standing(self, account: str) -> None:
        """Store the numbers of standing sessions of an account and of all; `beat` does it later while Redis is down."""
        async with self.telling:
            standing = self._standing()
            with suppress(StateUnavailable):
                await self._client.run(
                    "replica_standing", self.own, account, standing.get(account, 0), sum(standing.values())
                )

    async def run(self) -> None:
        """Renew the lease until cancelled, then give it up."""
        try:
            while True:
                with suppress(StateUnavailable):
                    await self.beat()
                await anyio.sleep(_BEAT_SECONDS)
        finally:
            with anyio.CancelScope(shield=True), suppress(StateUnavailable):
                await self._client.run("replica_leave", self.own)
