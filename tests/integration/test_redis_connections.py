"""Ways to reach a Redis: with a password, over TLS, through sentinels; and what an idle session costs in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.http_client import http_client
from tests.support.nginx import self_signed
from tests.support.processes import LOOPBACK, free_port
from tests.support.programs import await_connection, path_of, program
from tests.support.redis_server import RedisServer, redis_server
from tests.support.replicas import await_readiness, replicas_of
from tests.support.streamable_http import call_tool

SESSIONS = 500
MOST_BYTES = 2048  # in Redis, for one idle session


def assert_serves_sessions(url: str) -> None:
    """Assert that a session opened at one process is served by another that reaches Redis by this URL."""
    with replicas_of(url, 2) as (one, two), http_client(one.url) as here, http_client(two.url) as there:
        for server in (one, two):
            await_readiness(server)
        session = here.handshake()
        session.client = there
        assert call_tool(session, "talk", count=1).status == 200


@pytest.mark.parametrize(
    ("options", "credentials"),
    [
        (("--requirepass", "p@ss/word#1"), ":p%40ss%2Fword%231@"),
        (("--user", "tenant", "on", ">word", "~*", "&*", "+@all"), "tenant:word@"),
    ],
)
def test_credentials_are_in_the_url(options: tuple[str, ...], credentials: str) -> None:
    with redis_server(*options) as redis:
        assert_serves_sessions(redis.url.replace("redis://", f"redis://{credentials}"))


def test_a_certificate_of_redis_is_verified(tmp_path: Path) -> None:
    own = self_signed(tmp_path, [LOOPBACK])
    port = free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", str(own.chain), "--tls-key-file", str(own.key))
    with redis_server(*tls, "--tls-auth-clients", "no"):
        assert_serves_sessions(f"rediss://{LOOPBACK}:{port}/0?ssl_ca_certs={own.chain}")
        with replicas_of(f"rediss://{LOOPBACK}:{port}/0", 1) as (server,):
            await_readiness(server, "degraded")


@contextmanager
def sentinel(directory: Path, redis: RedisServer) -> Iterator[int]:
    """Run a sentinel that watches a Redis under the name `main`; yield its port."""
    port, file = free_port(), directory / "sentinel.conf"
    file.write_text(f"port {port}\nbind {LOOPBACK}\nsentinel monitor main {LOOPBACK} {redis.port} 1\n")
    with program([path_of("redis-server"), str(file), "--sentinel"], directory) as running:
        await_connection(running, port)
        yield port


def test_a_sentinel_knows_where_redis_is(tmp_path: Path) -> None:
    with redis_server() as redis, sentinel(tmp_path, redis) as port:
        assert_serves_sessions(f"redis+sentinel://{LOOPBACK}:{free_port()},{LOOPBACK}:{port}/main/0")
        assert_serves_sessions(f"redis+sentinel://{LOOPBACK}:{port}/main")


def test_an_idle_session_needs_at_most_two_kilobytes_in_redis() -> None:
    with redis_server() as redis, replicas_of(redis, 1) as (server,), http_client(server.url) as client:
        before = memory_of(redis)
        for _ in range(SESSIONS):
            client.handshake()
        assert server.sessions() == SESSIONS
        assert (memory_of(redis) - before) / SESSIONS < MOST_BYTES


def memory_of(redis: RedisServer) -> int:
    """Return the bytes of the data in a Redis."""
    found = re.search(rb"used_memory_dataset:(\d+)", redis.command("INFO", "memory"))
    assert found is not None
    return int(found[1])
