"""Servers behind nginx: replicas that share a Redis and a PostgreSQL, with no affinity, as one server to their clients.

`network_server` runs one process, or as many replicas as TFO_TEST_REPLICAS says: suites of tests then run against
replicas as against one process. Above `processes`, `nginx`, `redis_server` and `postgres`; knows no client.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.support.nginx import Nginx, nginx
from tests.support.processes import LOOPBACK, Child, Configuration, HttpServer, http_server

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer
    from tests.support.redis_server import RedisServer

REPLICAS = int(os.environ.get("TFO_TEST_REPLICAS", "1"))
GATES = "TFO_TEST_GATES"
"""The variable that names the directory of the tools' gates, which replicas share."""
SHARED: Mapping[str, str] = {
    "MCP_STATE_KEY": "a key that all replicas were given",
    "SECURITY_KEY_PEPPER": "a pepper that all replicas were given",
    "SECURITY_REQUIRE_KEY": "false",
    "SERVER_TRUSTED_PROXIES": LOOPBACK,
    "LIMITS_ANONYMOUS_CALLS_PER_MINUTE": "0",  # as on the loopback interface without a proxy
    "LIMITS_CALLS_AT_ONCE": "0",
    "STATE_TIMEOUT_SECONDS": "5",  # the suites are no measurement, and the machine may be loaded
}
"""Settings that replicas need, unless a test has its own."""


class ReplicaProcesses(Child):
    """The processes of all replicas, for their logs and their end; otherwise the first one stands for the process."""

    def __init__(self, children: list[Child]) -> None:
        super().__init__(children[0].process, Path())
        self._children = children

    def stderr(self) -> str:
        """Return the stderr of all processes so far, one process after the other."""
        return "".join(child.stderr() for child in self._children)

    def terminate(self) -> None:
        """Ask all processes to end."""
        for child in self._children:
            child.terminate()


@dataclass(frozen=True)
class BalancedServer(HttpServer):
    """An nginx in front of replicas; `port` is its own."""

    replicas: tuple[HttpServer, ...]
    proxy: Nginx

    def sessions(self) -> int:
        """Return the number of sessions of all replicas together, as one of them reports it."""
        return self.replicas[0].sessions()


@contextmanager
def network_server(configuration: Configuration, *, variables: Mapping[str, str]) -> Iterator[HttpServer]:
    """Run a server of every network transport until the end of the block; see `http_server`."""
    several = REPLICAS > 1
    with (
        balanced_server(configuration, REPLICAS, variables=variables)
        if several
        else http_server(configuration, variables=variables)
    ) as server:
        yield server


@dataclass(frozen=True)
class State:
    """What replicas share, and the environment variables by which they find it; `directory` is theirs and empty."""

    redis: "RedisServer"
    postgres: "PostgresServer"
    database: str
    directory: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables of each replica."""
        urls = {"STATE_URL": self.redis.url, "STORAGE_URL": self.database}
        own = {f"TELEMETRYFLOW_MCP_{name}": value for name, value in {**SHARED, **urls}.items()}
        return {**own, GATES: str(self.directory)}


@contextmanager
def shared_state() -> Iterator[State]:
    """Run a Redis and a PostgreSQL with a migrated database until the end of the block."""
    from tests.support.databases import access_to
    from tests.support.postgres import postgres_server
    from tests.support.redis_server import redis_server

    with redis_server() as redis, postgres_server() as postgres, TemporaryDirectory() as directory:
        database = postgres.new_database()
        access_to(database).upgrade()
        yield State(redis, postgres, database, Path(directory))


@contextmanager
def balanced_server(
    configuration: Configuration, count: int, *, variables: Mapping[str, str]
) -> Iterator[BalancedServer]:
    """Run replicas of one configuration, what they share, and nginx, until the end of the block."""
    with shared_state() as state, TemporaryDirectory() as place, ExitStack() as stack:
        given = {**state.variables, **variables}
        if isinstance(configuration, Mapping) and "state_key" in configuration.get("mcp", {}):
            given.pop("TELEMETRYFLOW_MCP_MCP_STATE_KEY")
        servers = [stack.enter_context(http_server(configuration, variables=given)) for _ in range(count)]
        proxy = stack.enter_context(nginx(Path(place), *(each.port for each in servers), sessions="tfo_mcp_any"))
        yield BalancedServer(ReplicaProcesses([server.child for server in servers]), proxy.port, tuple(servers), proxy)
