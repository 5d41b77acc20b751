"""Several worker processes behind one port: they serve, are replaced, drain and reload like one server."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest

from tests.support.deadlines import PATIENCE, QUICK, wait_until
from tests.support.http_client import HttpClient, Reply, http_client
from tests.support.processes import NO_TLS, HttpServer, child, run_command
from tests.support.redis_server import RedisServer, redis_server
from tests.support.streamable_http import ELICITATION, call_of, call_tool
from tests.support.workers import (
    await_workers,
    client_of_each,
    health,
    pids,
    process_id,
    sections,
    server_at,
)

CONNECTIONS = 24


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def server(folder: Path, redis: RedisServer) -> Iterator[HttpServer]:
    """A server that tests may ask, and whose workers they may kill, but which goes on."""
    with server_at(folder, redis, state={"key_prefix": "one:"}) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path, redis: RedisServer) -> Iterator[HttpServer]:
    """A server that the test may end."""
    with server_at(tmp_path, redis, state={"key_prefix": f"{tmp_path.name}:"}) as running:
        yield running


def test_each_worker_serves_its_share_of_the_connections(server: HttpServer) -> None:
    def is_shared() -> bool:
        with ExitStack() as stack:
            clients = [stack.enter_context(http_client(server.url)) for _ in range(CONNECTIONS)]
            found = Counter(process_id(client) for client in clients)
        return min(found[pid] for pid in pids(server)) >= CONNECTIONS / 4

    wait_until(is_shared, "each has a quarter at least", 2 * PATIENCE)


def test_a_session_is_served_by_every_worker(server: HttpServer) -> None:
    with client_of_each(server) as clients:
        session = next(iter(clients.values())).handshake()
        for pid, session.client in clients.items():
            assert call_tool(session, "process_id").result["structuredContent"] == {"result": pid}


def test_a_question_of_one_worker_is_answered_through_another(server: HttpServer) -> None:
    """The key that signs `requestState` is not set: the workers share a random one."""
    with client_of_each(server) as clients:
        (_, one), (other_pid, other) = clients.items()
        first = one.call_stateless("tools/call", call_of("ask_name"), capabilities=ELICITATION).result
        answer = {"name": {"action": "accept", "content": {"name": "Ada"}}}
        retry = {**call_of("ask_name"), "inputResponses": answer, "requestState": first["requestState"]}
        result = other.call_stateless("tools/call", retry, capabilities=ELICITATION).result
    assert result["content"][0]["text"] == f"Ada {other_pid}"


def test_a_killed_worker_is_replaced_and_its_sessions_continue(server: HttpServer) -> None:
    before = pids(server)
    with client_of_each(server) as clients:
        victim, client = next(iter(clients.items()))
        session = client.handshake()
        assert call_tool(session, "process_id").result["structuredContent"] == {"result": victim}
        since = server.child.log_size()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in pids(server), "the killed worker has been noticed")
    await_workers(server)
    with http_client(server.url) as client:
        session.client = client
        assert call_tool(session, "process_id").result["isError"] is False
    assert len(pids(server)) == 2
    assert len(pids(server) - before) == 1
    lines = [json.loads(line) for line in server.child.log_lines(since)]
    ended = next(line for line in lines if line["event"] == "a worker has ended")
    assert (ended["level"], ended["pid"], ended["reason"]) == ("error", victim, "signal SIGKILL")
    assert any(line["event"] == "a worker has started" for line in lines)


def metrics_page(server: HttpServer) -> str:
    return httpx.get(f"{server.origin}/metrics", timeout=PATIENCE, trust_env=False, verify=NO_TLS).text


def calls_counted(server: HttpServer) -> int:
    """Return how many calls of `counted` the metrics count, of all workers together."""
    found = [
        line
        for line in metrics_page(server).splitlines()
        if line.startswith("mcp_server_operation_duration_seconds_count{") and 'gen_ai_tool_name="counted"' in line
    ]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in found))


def test_metrics_health_and_audit_count_the_calls_of_all_workers(server: HttpServer, folder: Path) -> None:
    with client_of_each(server) as clients:
        known = health(server)["calls"]
        for client in clients.values():
            for _ in range(10):
                assert "result" in client.call_stateless("tools/call", call_of("counted")).message
        assert health(server)["calls"] == known + 20
        wait_until(lambda: calls_counted(server) == 20, "the metrics have all calls")
        os.kill(next(iter(clients)), signal.SIGKILL)
    seen: list[int] = []

    def serve(count: int) -> bool:
        seen.append(calls_counted(server))
        return bool(health(server)["workers"] == count)

    wait_until(lambda: serve(1), "it was killed")
    wait_until(lambda: serve(2), "it was replaced", 2 * PATIENCE)
    assert set(seen) == {20}, "counters never decrease"
    assert health(server)["calls"] == known + 20
    wait_until(lambda: "tfo_mcp_ready 1.0" in metrics_page(server), "the new worker has published that it is ready")
    assert "tfo_mcp_workers_active 2.0" in metrics_page(server)
    entries = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert sum("counted" in entry.values() for entry in entries) == 20


def reload(folder: Path) -> subprocess.CompletedProcess[str]:
    return run_command(
        "reload", "--config", folder / "tfo-mcp.yaml", variables={"XDG_STATE_HOME": str(folder / "state")}
    )


def limit_of_calls(client: HttpClient) -> str:
    """Return the configured `limits.calls_per_minute`, as a worker sees it."""
    shown = client.call_stateless("resources/read", {"uri": "config://server"}).result["contents"][0]["text"]
    return str(json.loads(shown)["limits"]["calls_per_minute"])


def test_a_reload_reaches_every_worker_and_those_that_start_later(
    server: HttpServer, folder: Path, redis: RedisServer
) -> None:
    configuration = folder / "tfo-mcp.yaml"
    changed = sections(folder, redis, state={"key_prefix": "one:"}, limits={"calls_per_minute": 1234})
    configuration.write_text(json.dumps(changed))
    outcome = reload(folder)
    assert (outcome.returncode, outcome.stdout) == (0, f"{server.child.pid}: reloaded\n")
    with client_of_each(server) as clients:
        assert {limit_of_calls(client) for client in clients.values()} == {"1234"}
        victim = next(iter(clients))
    configuration.write_text(json.dumps({**changed, "limits": {"calls_per_minute": "many"}}))
    outcome = reload(folder)
    assert outcome.returncode != 0
    assert "limits.calls_per_minute" in outcome.stderr
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in pids(server), "the killed worker has been noticed")
    await_workers(server)
    with client_of_each(server) as clients:
        assert victim not in clients
        assert {limit_of_calls(client) for client in clients.values()} == {"1234"}


def test_a_signal_lets_the_calls_of_all_workers_finish(own_server: HttpServer, tmp_path: Path) -> None:
    """A terminal or a service manager may signal the workers as well: that is no second signal."""
    go = tmp_path / "go"
    replies: list[Reply] = []
    with client_of_each(own_server) as clients:

        def hold(client: HttpClient) -> None:
            replies.append(client.call_stateless("tools/call", call_of("hold_until", path=str(go))))

        calling = [Thread(target=hold, args=(client,), daemon=True) for client in clients.values()]
        for thread in calling:
            thread.start()
        for pid in clients:
            wait_until(Path(f"{go}.{pid}").exists, "the call has begun")
        for pid in (*clients, own_server.child.pid, *clients):
            os.kill(pid, signal.SIGTERM)
        with http_client(own_server.url) as late:
            assert late.call_stateless("tools/list").status == httpx.codes.SERVICE_UNAVAILABLE
        go.touch()
        for thread in calling:
            thread.join(PATIENCE)
        assert {reply.result["structuredContent"]["result"] for reply in replies} == set(clients)
    assert own_server.child.wait() == 0
    assert not any(psutil.pid_exists(pid) for pid in clients)


def test_the_second_signal_ends_all_workers_at_once(own_server: HttpServer, tmp_path: Path) -> None:
    with http_client(own_server.url) as client:
        workers = pids(own_server)
        cut_off: list[type[Exception]] = []

        def hold() -> None:
            try:
                client.call_stateless("tools/call", call_of("hold_until", path=str(tmp_path / "x")))
            except httpx.TransportError as problem:
                cut_off.append(type(problem))

        calling = Thread(target=hold, daemon=True)
        calling.start()
        wait_until(lambda: list(tmp_path.glob("x.*")), "the call has begun")
        own_server.child.process.terminate()
        wait_until(lambda: health_status(own_server) == httpx.codes.SERVICE_UNAVAILABLE, "the server drains")
        own_server.child.process.terminate()
        assert own_server.child.wait() == 128 + signal.SIGTERM
        calling.join(PATIENCE)
    assert cut_off
    assert not any(psutil.pid_exists(pid) for pid in workers)


def health_status(server: HttpServer) -> int:
    return httpx.get(f"{server.origin}/readyz", timeout=PATIENCE, trust_env=False, verify=NO_TLS).status_code


def test_the_workers_of_a_killed_parent_end(own_server: HttpServer) -> None:
    workers = pids(own_server)
    own_server.child.process.kill()
    own_server.child.wait()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in workers), "the workers have ended")


def test_a_server_whose_workers_cannot_start_any_more_ends_and_says_so(own_server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    since = own_server.child.log_size()
    for pid in pids(own_server):
        os.kill(pid, signal.SIGKILL)
    assert own_server.child.wait(3 * PATIENCE) == 1
    lines = [json.loads(line) for line in own_server.child.log_lines(since)]
    assert lines[-1]["event"] == "no worker can be started: the last attempts have failed"
    starts = [line for line in lines if line["event"] == "a worker has started"]
    assert len(starts) < 10, "the pauses between the attempts grow"


def test_a_first_worker_that_cannot_start_ends_the_server_with_one_error(tmp_path: Path, redis: RedisServer) -> None:
    configuration = tmp_path / "tfo-mcp.yaml"
    configuration.write_text(json.dumps(sections(tmp_path, redis, mcp={"plugins": ["no_such_plugin"]})))
    with child(["serve", "--transport", "http", "--port", "0", "--config", str(configuration)]) as running:
        assert running.wait(2 * PATIENCE) == 2
        assert len(re.findall("^tfo-mcp: Plugin 'no_such_plugin'", running.stderr(), re.MULTILINE)) == 1


SLOW = """\
import asyncio, os
from pathlib import Path
from tfo_mcp.plugins import lifespan

@lifespan
async def slow():
    Path(f"begun-{os.getpid()}").touch()
    %s
    yield
"""


def serve_slowly(folder: Path, redis: RedisServer, wait: str) -> list[str]:
    """Write a server whose workers run a lifespan, and return its command line."""
    (folder / "slow.py").write_text(SLOW % wait)
    configuration = folder / "tfo-mcp.yaml"
    configuration.write_text(json.dumps(sections(folder, redis, mcp={"plugins": ["slow"]})))
    return ["serve", "--transport", "http", "--port", "0", "--config", str(configuration)]


def test_a_signal_ends_workers_whose_lifespan_waits(tmp_path: Path, redis: RedisServer) -> None:
    with child(serve_slowly(tmp_path, redis, "await asyncio.sleep(600)"), directory=tmp_path) as running:
        wait_until(lambda: [*tmp_path.glob("begun-*")], "the lifespan has begun")
        running.terminate()
        assert running.wait(QUICK) == 0
        assert "killed" not in running.stderr()


def test_a_lifespan_that_fails_in_the_first_worker_ends_the_server_with_one_error(
    tmp_path: Path, redis: RedisServer
) -> None:
    with child(serve_slowly(tmp_path, redis, "raise SystemExit"), directory=tmp_path) as running:
        assert running.wait(QUICK) == 2
        assert len(re.findall("^tfo-mcp: Lifespan slow failed: SystemExit$", running.stderr(), re.MULTILINE)) == 1


def test_several_workers_need_redis(tmp_path: Path) -> None:
    line = ["serve", "--transport", "http", "--port", "0"]
    with child(line, variables={"TELEMETRYFLOW_MCP_SERVER_WORKERS": "2"}) as running:
        assert running.wait(PATIENCE) == 2
        assert "state.url" in running.stderr()
