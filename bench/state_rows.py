"""The rows about state outside of the process: databases, Redis, NATS, and several worker processes.

The databases, Redis and NATS are real ones, on the generator's core. With two workers, all of them share both cores
with the generator, so its share says how much of the second core was left.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.contenders import Contender
from bench.generator import Sample
from bench.http_load import measure
from bench.messages import Era, call, check_call, parse
from bench.row import Row, Sampler, Target
from bench.site import Site, State
from tests.support.nats_server import nats_server
from tests.support.postgres import postgres_server
from tests.support.redis_server import RedisServer, redis_server
from tfo_mcp.bootstrap import Migration, load

PRODUCT, BASELINE = Contender.PRODUCT, Contender.BASELINE
CONNECTIONS = 32
SESSIONS = 1_000
PREFIX = "TELEMETRYFLOW_MCP_"
MEMORY: Mapping[str, str] = {f"{PREFIX}STORAGE_URL": "memory:"}


def check_echo(body: bytes, number: int) -> None:
    """Check the body of an echo."""
    check_call(parse(body), number)


@contextmanager
def no_state() -> Iterator[Mapping[str, str]]:
    """Keep everything in memory."""
    yield MEMORY


@contextmanager
def sqlite() -> Iterator[Mapping[str, str]]:
    """Store in a file of SQLite."""
    with tempfile.TemporaryDirectory(prefix="tfo-bench-") as place:
        yield {f"{PREFIX}STORAGE_URL": f"sqlite://{Path(place).resolve()}/tfo-mcp.db"}


@contextmanager
def redis() -> Iterator[Mapping[str, str]]:
    """Share the state through a Redis."""
    with redis_server() as server:
        yield {**MEMORY, f"{PREFIX}STATE_URL": server.url}


@contextmanager
def postgres_and_redis() -> Iterator[Mapping[str, str]]:
    """Store in PostgreSQL, and share the state through a Redis."""
    with postgres_server() as server, redis() as shared:
        variables = {
            **shared,
            f"{PREFIX}STORAGE_URL": server.new_database(),
            f"{PREFIX}SECURITY_KEY_PEPPER": "a pepper for the benchmarks, of more than 32 characters",
        }
        Migration(load(None, {}, variables, looks_for_file=False)).up()
        yield variables


@contextmanager
def nats() -> Iterator[Mapping[str, str]]:
    """Store in a file of SQLite, and relay the event of each call from the outbox there to NATS."""
    with sqlite() as variables, nats_server() as server:
        yield {**variables, f"{PREFIX}EVENTS_URL": server.url}


def echo_with(state: State, era: Era, without: State = no_state) -> Callable[[Site], Sampler]:
    """Echo with a kind of state; with another one, by default memory, for the baseline."""

    def prepare(site: Site) -> Sampler:
        chosen = state if site.contender.is_product else without
        endpoint = site.with_state(chosen)
        plans = endpoint.plans(era, call(era, "echo"), CONNECTIONS)
        return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)

    return prepare


def workers(site: Site) -> Sampler:
    """Echo at two workers, which may use both cores; at one process on one core for the baseline; both with Redis."""
    count = 2 if site.contender.is_product else 1
    variables = {f"{PREFIX}SERVER_WORKERS": str(count)}
    endpoint = site.with_state(redis, variables, all_cores=count > 1)
    plans = endpoint.plans(Era.STATELESS, call(Era.STATELESS, "echo"), CONNECTIONS)
    return lambda seconds: measure(endpoint.port, plans, check_echo, seconds)


def idle_sessions(site: Site) -> Sampler:
    """Memory of Redis for each of 1,000 open sessions, in KiB."""

    def sample(_seconds: float) -> Sample:
        with redis_server() as server:
            endpoint = site.with_state(no_state, {f"{PREFIX}STATE_URL": server.url})
            before = used_bytes(server)
            endpoint.sessions(SESSIONS)
            return Sample((used_bytes(server) - before) / SESSIONS / 1024)

    return sample


def used_bytes(server: RedisServer) -> int:
    """Return the memory that Redis has allocated."""
    lines = server.command("INFO", "memory").decode().splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("used_memory:"))


def state_rows() -> Iterator[Row]:
    """Echo with each kind of state, two workers, and the memory of sessions."""
    ours = (PRODUCT, BASELINE)
    kinds = (
        ("sqlite", "with SQLite", sqlite, Era.STATELESS, 0.9),
        ("postgres-redis", "with PostgreSQL and Redis", postgres_and_redis, Era.STATELESS, 0.85),
        ("redis", "through Redis", redis, Era.HANDSHAKE, 0.5),
    )
    for name, what, state, era, factor in kinds:
        title = f"HTTP echo {what}, {era} era; baseline: in memory"
        yield Row(f"state-{name}", title, "calls/s", ours, (Target(BASELINE, factor),), echo_with(state, era))
    title = "HTTP echo with the outbox and NATS, stateless era; baseline: without"
    target = Target(BASELINE, 0.85)
    yield Row("state-nats", title, "calls/s", ours, (target,), echo_with(nats, Era.STATELESS, sqlite))
    title = "HTTP echo at two workers on two cores, stateless era; baseline: one on one"
    yield Row("state-workers", title, "calls/s", ours, (), workers)
    title = "Memory of Redis for an idle session"
    yield Row("state-memory", title, "KiB", (PRODUCT,), (), idle_sessions, warm_up=False, rounds_at_most=1)
