"""Tools with `cache`: equal calls run the function once, in all processes together, and never across scopes."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.guarded import Guarded, guarded
from tests.support.http_client import HEADERS, HttpClient, Reply, http_client
from tests.support.processes import LOOPBACK, HttpServer
from tests.support.redis_server import RedisServer, redis_server
from tests.support.workers import client_of_each, server_at

PLUGIN = "tests.support.plugins.cached_tools"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One process with the cache in its memory."""
    with guarded(tmp_path_factory.mktemp("guarded"), mcp={"plugins": [PLUGIN]}) as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[HttpServer]:
    """Two processes with the cache in Redis."""
    with server_at(
        tmp_path_factory.mktemp("workers"), redis, mcp={"plugins": ["cached_tools", "worker_tools"]}
    ) as running:
        yield running


def runs(folder: Path) -> list[int]:
    """Return the process id of each run."""
    path = folder / "runs"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def call(client: HttpClient, name: str, folder: Path, **arguments: Any) -> Reply:
    params = {"name": name, "arguments": {"folder": str(folder), **arguments}}
    return client.call_stateless("tools/call", params)


def ask(gate: Guarded, key: str, name: str, **arguments: Any) -> Any:
    return gate.stateless(key, "tools/call", {"name": name, "arguments": arguments}).json()


def test_equal_calls_run_once_and_get_the_same_result(gate: Guarded, tmp_path: Path) -> None:
    key = gate.key("tools:read")
    question = {"a": 1, "b": [True, "ü"]}
    answers = [
        ask(gate, key, "kept", folder=str(tmp_path), question=question),
        ask(gate, key, "kept", question={"b": [True, "ü"], "a": 1}, folder=str(tmp_path)),
    ]
    assert len(runs(tmp_path)) == 1
    assert answers[0]["result"] == answers[1]["result"]
    assert answers[0]["result"]["structuredContent"] == {"question": question, "nothing": None}
    assert [block["type"] for block in answers[0]["result"]["content"]] == ["text", "image"]


def test_other_arguments_run_again(gate: Guarded, tmp_path: Path) -> None:
    key = gate.key("tools:read")
    for question in ({"a": 1}, {"a": True}, {"a": "1"}, {"a": None}, {}, {"a": [1]}, {"a": [[1]]}):
        ask(gate, key, "kept", folder=str(tmp_path), question=question)
    assert len(runs(tmp_path)) == 7


def test_callers_share_results_only_if_they_have_the_same_scopes(gate: Guarded, tmp_path: Path) -> None:
    keys = [gate.key("tools:read", name="one"), gate.key("tools:read", name="two")]
    more = gate.key("tools:read", "resources:read", name="three")
    for key in (*keys, more, more):
        ask(gate, key, "kept", folder=str(tmp_path), question={})
    assert len(runs(tmp_path)) == 2


def test_a_caller_without_the_tool_does_not_get_a_cached_result(gate: Guarded, tmp_path: Path) -> None:
    ask(gate, gate.key("tools:read"), "kept", folder=str(tmp_path), question={})
    answer = ask(gate, gate.key("prompts:read"), "kept", folder=str(tmp_path), question={})
    assert "error" in answer


def test_failures_and_wrong_arguments_are_not_cached(gate: Guarded, tmp_path: Path) -> None:
    key = gate.key("tools:read")
    for _ in range(2):
        assert ask(gate, key, "failing", folder=str(tmp_path))["result"]["isError"]
    assert len(runs(tmp_path)) == 2
    for _ in range(2):
        assert "question" in str(ask(gate, key, "kept", folder=str(tmp_path)))
    assert len(runs(tmp_path)) == 2


def test_a_result_of_one_process_serves_the_other(server: HttpServer, tmp_path: Path) -> None:
    with client_of_each(server) as clients:
        results = [call(client, "kept", tmp_path, question={"n": 1}).result for client in clients.values()]
    assert results[0] == results[1]
    assert len(runs(tmp_path)) == 1


def test_concurrent_calls_in_two_processes_run_once(server: HttpServer, tmp_path: Path) -> None:
    replies: list[Reply] = []
    with client_of_each(server) as clients:
        threads = [
            Thread(target=lambda client=client: replies.append(call(client, "slow", tmp_path)), daemon=True)
            for client in clients.values()
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: runs(tmp_path), "one of them runs")
        (tmp_path / "go").touch()
        for thread in threads:
            thread.join(PATIENCE)
    assert len({reply.result["structuredContent"]["result"] for reply in replies}) == 1
    assert len(runs(tmp_path)) == 1


def test_a_call_runs_itself_if_the_one_that_it_waits_for_is_cancelled(server: HttpServer, tmp_path: Path) -> None:
    replies: list[Reply] = []
    with http_client(server.url) as client:
        message, headers = client.stateless_request(
            "tools/call", {"name": "slow", "arguments": {"folder": str(tmp_path)}}
        )
        body = json.dumps(message).encode()
        lines = [f"{name}: {value}" for name, value in {**HEADERS, **headers, "Content-Length": len(body)}.items()]
        head = "\r\n".join(["POST /mcp HTTP/1.1", f"Host: {LOOPBACK}:{server.port}", *lines, "", ""]).encode()
        with socket.create_connection((LOOPBACK, server.port), PATIENCE) as leaving:
            leaving.sendall(head + body)
            wait_until(lambda: len(runs(tmp_path)) == 1, "the first call runs")
            waiting = Thread(target=lambda: replies.append(call(client, "slow", tmp_path)), daemon=True)
            waiting.start()
        wait_until(lambda: len(runs(tmp_path)) == 2, "the second call runs itself")
        (tmp_path / "go").touch()
        waiting.join(PATIENCE)
    assert replies[0].result["structuredContent"] == {"result": runs(tmp_path)[1]}


def test_without_redis_the_tool_runs(tmp_path: Path) -> None:
    plugins = {"plugins": ["cached_tools"]}
    with redis_server() as own, server_at(tmp_path, own, mcp=plugins) as server, http_client(server.url) as client:
        own.kill()
        for number in range(5):
            assert "structuredContent" in call(client, "kept", tmp_path, question={}).result
            assert len(runs(tmp_path)) == number + 1
