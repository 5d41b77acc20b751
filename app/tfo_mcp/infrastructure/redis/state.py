"""RedisState: makes the adapters of one process that share a client, and runs what they need in the background."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

from tfo_mcp.application.ports import EventBus, PostRelay, RateStore, SessionStore
from tfo_mcp.application.shared_events import SharedEventBus
from tfo_mcp.infrastructure.redis.cache import RedisCache
from tfo_mcp.infrastructure.redis.client import RedisClient
from tfo_mcp.infrastructure.redis.journal import Journal, JournalChannel
from tfo_mcp.infrastructure.redis.posts import RedisPostRelay
from tfo_mcp.infrastructure.redis.rates import RedisRateStore
from tfo_mcp.infrastructure.redis.relay import RedisSessionBus
from tfo_mcp.infrastructure.redis.replicas import Replicas
from tfo_mcp.infrastructure.redis.sessions import RedisSessionStore
from tfo_mcp.infrastructure.redis.streams import RedisStreamLog
from tfo_mcp.infrastructure.redis.subscriber import Subscriber

_CONNECT_SECONDS = 2.0


class RedisState:
    """The connections of one process to Redis; see `RedisClient` for the arguments.

    The adapters are made first; then `run` runs while they are used.
    """

    def __init__(self, url: str, prefix: str, timeout_seconds: float) -> None:
        self._client = RedisClient(url, prefix, timeout_seconds)
        self._subscriber = Subscriber(self._client)
        self._replicas = Replicas(self._client)
        self._journal = Journal(self._client, self._subscriber)
        self._work: list[Callable[[], Coroutine[Any, Any, None]]] = [
            *(self._replicas.run, self._subscriber.run, self._journal.run),
        ]
        self._last_work: list[Callable[[], Awaitable[None]]] = []

    def sessions(self, local: SessionStore, idle_seconds: float) -> RedisSessionStore:
        """Return the session store; `local` keeps sessions with their own connection."""
        return RedisSessionStore(self._client, self._replicas, local, idle_seconds)

    def streams(self, history: int, account_bytes: int, idle_seconds: float) -> RedisStreamLog:
        """Return the stream log; see `RedisStreamLog` for the limits."""
        log = RedisStreamLog(
            *(self._client, self._subscriber, self._replicas),
            history=history,
            account_bytes=account_bytes,
            idle_seconds=idle_seconds,
        )
        self._work.append(log.run)
        return log

    def relay(self) -> RedisSessionBus:
        """Return the session bus."""
        bus = RedisSessionBus(self._journal, self._replicas)
        self._work.append(bus.run)
        return bus

    def posts(self, local: PostRelay) -> RedisPostRelay:
        """Return the relay of posted messages; `local` has the receivers of this process."""
        relay = RedisPostRelay(self._client, self._subscriber, self._replicas, local)
        self._work.append(relay.run)
        return relay

    def events(self, local: EventBus) -> SharedEventBus:
        """Return the event bus; `local` has the listeners of this process."""
        bus = SharedEventBus(JournalChannel(self._journal, "events"), self._replicas.own, local)
        self._work.append(bus.run)
        self._last_work.append(bus.aclose)
        return bus

    def rates(self, local: RateStore, kind: str) -> RedisRateStore:
        """Return a store of rate limit counters; `local` counts while Redis is down."""
        return RedisRateStore(self._client, self._replicas, local, kind)

    def cache(self) -> RedisCache:
        """Return the cache."""
        return RedisCache(self._client)

    def works(self) -> bool:
        """Return whether Redis answers, and messages of other replicas arrive."""
        return self._client.works() and self._subscriber.is_connected and not self._journal.is_behind

    async def run(self) -> None:
        """Keep the lease, receive messages and send events, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for work in self._work:
                tasks.start_soon(work)

    async def connect(self) -> None:
        """Wait until messages arrive, at most two seconds."""
        with anyio.move_on_after(_CONNECT_SECONDS):
            await self._replicas.first_beat.wait()
            await self._journal.first_read.wait()

    async def aclose(self) -> None:
        """Send what is queued, and close the connections."""
        for work in self._last_work:
            await work()
        await self._client.aclose()
