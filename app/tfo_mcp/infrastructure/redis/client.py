"""RedisClient: sends scripts and commands to one Redis, with a total deadline and through a breaker.

Owns the connections for calls. A failure of any kind is `StateUnavailable`; logs never contain the URL.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from tfo_mcp.application.breaker import Breaker
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.infrastructure.redis.batches import CommandBatches

_CONNECTIONS = 64
_log = structlog.get_logger("tfo_mcp.redis")


class RedisClient:
    """The connection of one process to a Redis.

    Args:
        url: `redis://`, `rediss://` or `redis+sentinel://host:port,host:port/service/database`.
        prefix: precedes the names of all keys and channels.
        timeout_seconds: the total deadline of one call, which is sent with the others of its turn of the event loop.
    """

    def __init__(self, url: str, prefix: str, timeout_seconds: float) -> None:
        self.prefix = prefix
        self.timeout_seconds = timeout_seconds
        self.redis = connect(url, timeout_seconds)
        self._batches = CommandBatches(self.redis, timeout_seconds)
        self._breaker = Breaker()

    def works(self) -> bool:
        """Return whether the latest calls succeeded."""
        return not self._breaker.is_open

    async def run(self, script: str, *arguments: object) -> Any:
        """Run the script `lua/<script>.lua` and return its result; the prefix is its first argument.

        Raises:
            StateUnavailable: Redis failed, did not answer in time, or has failed repeatedly before.
        """
        source, digest = _script(script)
        given = (self.prefix, *arguments)
        try:
            return await self._call("EVALSHA", digest, 0, *given)
        except NoScriptError:
            return await self._call("EVAL", source, 0, *given)

    async def aclose(self) -> None:
        """Close the connections once the commands that were sent have ended."""
        await self._batches.aclose()
        await self.redis.aclose()

    async def _call(self, *command: object) -> Any:
        if not self._breaker.permits():
            raise StateUnavailable
        try:
            result = await self._batches.execute(*command)
        except NoScriptError:  # a Redis that was restarted
            self._record_success()
            raise
        except (RedisError, OSError, TimeoutError) as problem:
            if self._breaker.failed():
                _log.warning("redis is unavailable", reason=type(problem).__name__)
            raise StateUnavailable from None
        self._record_success()
        return result

    def _record_success(self) -> None:
        if self._breaker.succeeded():
            _log.info("redis is available again")


async def problem_of(url: str, timeout_seconds: float) -> str | None:
    """Return why the Redis at a URL cannot be used at the moment, None if it answers."""
    redis = connect(url, timeout_seconds)
    execute: Callable[..., Awaitable[Any]] = redis.execute_command
    try:
        with anyio.fail_after(timeout_seconds):
            await execute("PING")
    except TimeoutError:
        return "it does not answer in time"
    except (RedisError, OSError) as problem:
        return type(problem).__name__
    finally:
        with anyio.move_on_after(timeout_seconds):
            await redis.aclose()
    return None


@cache
def _script(name: str) -> tuple[str, str]:
    """Return the source of a script and its SHA-1, by which Redis knows it."""
    folder = files("tfo_mcp.infrastructure.redis").joinpath("lua")
    source = "\n".join(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in ("_shared", name))
    return source, sha1(source.encode(), usedforsecurity=False).hexdigest()


def connect(url: str, timeout_seconds: float) -> Redis:
    """Return a client of the Redis at a URL; it connects on first use."""
    options: dict[str, Any] = {
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),  # `RedisClient` repeats calls itself
    }
    parts = urlsplit(url)
    if parts.scheme != "redis+sentinel":
        pool = BlockingConnectionPool.from_url(url, max_connections=_CONNECTIONS, timeout=timeout_seconds, **options)
        return Redis.from_pool(pool)
    credentials, _, places = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    own = {"username": unquote(user) or None, "password": unquote(password) or None}
    new_sentinel: Callable[..., Sentinel] = Sentinel
    # a sentinel that does not answer leaves time to ask the next one
    half = {"socket_timeout": timeout_seconds / 2, "socket_connect_timeout": timeout_seconds / 2}
    addresses = [address_of(place) for place in places.split(",")]
    sentinel = new_sentinel(addresses, sentinel_kwargs={**options, **half}, **options, **own)
    master: Redis = sentinel.master_for(service, db=int(database or 0))
    return master


def address_of(place: str) -> tuple[str, int]:
    """Return host and port of `host:port`; the default port is that of a sentinel."""
    parts = urlsplit(f"//{place}")
    return parts.hostname or "", parts.port or 26379
