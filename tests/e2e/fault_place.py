"""Three replicas behind nginx, and what they share, each behind a proxy: everything can be killed, silenced or slowed.

Owns the processes. Knows no client.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from tests.e2e.restartable import Restartable, restartables
from tests.support.balanced import SHARED
from tests.support.databases import access_to
from tests.support.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.support.nginx import Nginx, nginx
from tests.support.postgres import PASSWORD, PostgresServer, postgres_server
from tests.support.processes import LOOPBACK, PROJECT, HttpServer, command, environment
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replicas import await_readiness

REPLICAS = 3
DELAY = 3.0  # seconds for which a slow service holds back each chunk
Victim = Literal["replica", "redis", "postgresql"]
VICTIMS: tuple[Victim, ...] = get_args(Victim)
CONFIGURATION = {
    "mcp": {
        "plugins": ["tests.support.plugins.http_tools"],
        "max_sessions": 100_000,
        "max_sessions_per_caller": 100_000,
    },
    "security": {"audit": False},
    "limits": {"calls_per_minute": 0, "calls_at_once": 0},
    "server": {"trusted_proxies": [LOOPBACK]},
    "logging": {"level": "warning"},
}


@dataclass
class FaultPlace:
    """The replicas and nginx, Redis and PostgreSQL, and the proxies in front of these."""

    servers: list[Restartable]
    proxy: Nginx
    redis: RedisServer
    postgres: PostgresServer
    proxies: Mapping[str, FaultyProxy]
    variables: Mapping[str, str]
    _redis_running: ExitStack = field(default_factory=ExitStack)

    def kill(self, victim: Victim, number: int = 0) -> Callable[[], None]:
        """Kill a process with SIGKILL, and return the function that starts it again."""
        if victim == "replica":
            server = self.servers[number % len(self.servers)]
            server.child.process.kill()
            server.child.wait()
            return server.start
        if victim == "redis":
            self.redis.kill()
            return self._start_redis
        self.postgres.crash()
        return self.postgres.start

    def disturb(self, victim: Victim, fault: Fault) -> Callable[[], None]:
        """Begin a fault of a service, and return the function that ends it."""
        self.proxies[victim].begin(fault, delay=DELAY)
        return lambda: self.proxies[victim].begin("none")

    def await_recovery(self) -> None:
        """Wait until every replica reports that it is ready."""
        for server in self.servers:
            await_readiness(HttpServer(server.child, server.port))

    def new_key(self, name: str) -> subprocess.Popen[str]:
        """Start the command that creates an API key and prints it."""
        line = [*command(), "keys", "create", "--name", name, "--scope", "admin"]
        return subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(self.variables), cwd="/"
        )

    def close(self) -> None:
        """End a Redis that was started again."""
        self._redis_running.close()

    def _start_redis(self) -> None:
        self._redis_running.enter_context(self.redis.running())


def key_in(output: str) -> str | None:
    """Return the API key in the output of `tfo-mcp keys create`, None if none was printed."""
    return next((line.strip() for line in output.splitlines() if line.startswith("tfo_")), None)


@contextmanager
def fault_place() -> Iterator[FaultPlace]:
    """Run everything until the end of the block; Redis keeps its data on disk."""
    with ExitStack() as stack:
        redis, postgres = (
            stack.enter_context(redis_server("--appendonly", "yes")),
            stack.enter_context(postgres_server()),
        )
        database = postgres.new_database()
        access_to(database).upgrade()
        proxies = {
            "redis": stack.enter_context(faulty_proxy(redis.port)),
            "postgresql": stack.enter_context(faulty_proxy(postgres.port)),
        }
        name = database.rpartition("/")[2]
        urls = {
            "STATE_URL": proxies["redis"].url,
            "STORAGE_URL": f"postgresql://tfo:{PASSWORD}@{LOOPBACK}:{proxies['postgresql'].port}/{name}",
        }
        given = {key: SHARED[key] for key in ("MCP_STATE_KEY", "SECURITY_KEY_PEPPER")}
        variables = {f"TELEMETRYFLOW_MCP_{key}": value for key, value in {**given, **urls}.items()}
        variables = {
            **variables,
            "PYTHONPATH": str(PROJECT),
            "XDG_STATE_HOME": stack.enter_context(TemporaryDirectory()),
        }
        servers = stack.enter_context(restartables(REPLICAS, CONFIGURATION, variables))
        directory = Path(stack.enter_context(TemporaryDirectory()))
        proxy = stack.enter_context(nginx(directory, *(server.port for server in servers), sessions="tfo_mcp_any"))
        place = FaultPlace(servers, proxy, redis, postgres, proxies, variables)
        stack.callback(place.close)
        yield place
