"""Rate limits across eight processes that share a Redis: what one caller is allowed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

from tests.support.http_client import HttpClient, http_client
from tests.support.redis_server import redis_server
from tests.support.replicas import replicas_of

PROCESSES = 8
PER_MINUTE = 1200
BURST = 200
SECONDS = 20.0
TOLERANCE = 0.01


@dataclass(frozen=True)
class Flooded:
    """How many calls were allowed, of how many, and how many the limit allows in that time."""

    calls: int
    allowed: int
    limit: float

    def summary(self) -> str:
        """Return the figures in one line."""
        over = self.allowed / self.limit - 1
        return (
            f"{PROCESSES} processes, {self.calls} calls: {self.allowed} allowed, limit {self.limit:.0f} ({over:+.2%})"
        )

    def problems(self) -> list[str]:
        """Return whether more calls were allowed than promised."""
        return [] if self.allowed <= self.limit * (1 + TOLERANCE) else [f"rate limits: {self.summary()}"]


def flood() -> Flooded:
    """Call all processes as fast as possible for some seconds."""
    settings = {"limits_anonymous_calls_per_minute": PER_MINUTE, "limits_burst": BURST}
    with redis_server() as redis, replicas_of(redis, PROCESSES, **settings) as servers, ExitStack() as stack:
        clients = [stack.enter_context(http_client(server.url)) for server in servers]
        begun = monotonic()

        def call(client: HttpClient) -> tuple[int, int]:
            calls = allowed = 0
            while monotonic() < begun + SECONDS:
                calls += 1
                allowed += client.call_stateless("tools/list").status == 200
            return calls, allowed

        with ThreadPoolExecutor(PROCESSES) as threads:
            found = list(threads.map(call, clients))
        seconds = monotonic() - begun
    calls, allowed = (sum(column) for column in zip(*found, strict=True))
    return Flooded(calls, allowed, BURST + PER_MINUTE / 60 * seconds)
