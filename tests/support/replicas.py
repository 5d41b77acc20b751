"""Replicas: servers that share a Redis and run the tools of `plugins/http_tools`, and what their readiness reports.

Above `redis_server` and `processes`. Owns nothing of its own.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import NO_TLS, PROJECT, HttpServer, http_server
from tests.support.redis_server import RedisServer
from tests.support.streamable_http import CONFIGURATION

STATE_KEY = "a key that all replicas were given"


def readiness(server: HttpServer) -> tuple[str, list[str]]:
    """Return the status of `GET /readyz`, and what fails."""
    answer = httpx.get(f"{server.origin}/readyz", timeout=PATIENCE, trust_env=False, verify=NO_TLS).json()
    return answer["status"], answer["failing"]


def await_readiness(server: HttpServer, status: str = "ready") -> None:
    """Wait until a server reports a status."""
    wait_until(lambda: readiness(server)[0] == status, f"the server is {status}")


@contextmanager
def replicas_of(redis: RedisServer | str, count: int, **settings: object) -> Iterator[list[HttpServer]]:
    """Run servers that share a Redis until the end of the block.

    Args:
        redis: the Redis, or the URL by which they reach it.
        settings: `section_key=value`.
    """
    url = redis if isinstance(redis, str) else redis.url
    given = {"state_url": url, "mcp_state_key": STATE_KEY, **settings}
    variables = {f"TELEMETRYFLOW_MCP_{name.upper()}": str(value) for name, value in given.items()}
    with ExitStack() as stack:
        serving = (
            http_server(CONFIGURATION, variables={"PYTHONPATH": str(PROJECT), **variables}) for _ in range(count)
        )
        yield [stack.enter_context(server) for server in serving]
