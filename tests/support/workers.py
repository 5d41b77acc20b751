"""A server with several worker processes and a real Redis, run with the tools of `plugins/worker_tools`.

Owns the settings that several workers need, and finds their process ids. Knows no test.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.http_client import HttpClient, http_client
from tests.support.processes import NO_TLS, HttpServer, http_server
from tests.support.redis_server import RedisServer

PLUGINS = Path(__file__).with_name("plugins")


def sections(folder: Path, redis: RedisServer, **changed: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of a server with two workers, whose audit log is in the folder; `changed` by section."""
    whole: dict[str, dict[str, Any]] = {
        "server": {"workers": 2},
        "mcp": {"plugins": ["worker_tools"]},
        "state": {"url": redis.url},
        "security": {"anonymous": "all", "audit_file": str(folder / "audit.jsonl")},
        "telemetry": {"prometheus": True},
        "logging": {"format": "json"},
    }
    for section, values in changed.items():
        whole[section] = {**whole.get(section, {}), **values}
    return whole


@contextmanager
def server_at(folder: Path, redis: RedisServer, **changed: Mapping[str, Any]) -> Iterator[HttpServer]:
    """Run a server with two workers that uses a Redis until the end of the block."""
    configuration = folder / "tfo-mcp.yaml"
    configuration.write_text(json.dumps(sections(folder, redis, **changed)))  # JSON is YAML
    variables = {
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(PLUGINS),
        "FAIL_IF_EXISTS": str(folder / "fail"),
    }
    with http_server(configuration, directory=folder, variables=variables) as server:
        await_workers(server)
        yield server


def health(server: HttpServer) -> dict[str, Any]:
    """Return the health report of one of the workers."""
    answer = httpx.get(f"{server.origin}/healthz", timeout=PATIENCE, trust_env=False, verify=NO_TLS)
    whole: dict[str, Any] = answer.raise_for_status().json()
    return whole


def await_workers(server: HttpServer, count: int = 2) -> None:
    """Wait until that many workers serve."""
    wait_until(lambda: health(server)["workers"] == count, f"{count} workers serve", 2 * PATIENCE)


def pids(server: HttpServer) -> set[int]:
    """Return the process ids of the workers."""
    parent = server.child.pid
    return set(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))


def process_id(client: HttpClient) -> int:
    """Return the id of the process that answers on a client's connection."""
    result = client.call_stateless("tools/call", {"name": "process_id", "arguments": {}}).result
    return int(result["structuredContent"]["result"])


@contextmanager
def client_of_each(server: HttpServer) -> Iterator[dict[int, HttpClient]]:
    """Yield a client of each worker, by its process id: its connection stays at this worker."""
    with ExitStack() as stack:
        found: dict[int, HttpClient] = {}
        wanted = pids(server)

        def one_more() -> bool:
            client = stack.enter_context(http_client(server.url))
            found.setdefault(process_id(client), client)
            return set(found) >= wanted

        wait_until(one_more, "a connection to each worker")
        yield found
