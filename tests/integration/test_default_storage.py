"""The default of `storage.url`: a file of the network transports, which never stands in the way of a start."""

import json
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import pytest

from tests.support.databases import new_database
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import initialize_params, request
from tests.support.http_client import HttpClient, Session, http_client
from tests.support.processes import HttpServer, command, environment, free_port, http_server, run_command

WARNING = "sessions end with this process"
UNSET = {"TELEMETRYFLOW_MCP_STORAGE_URL": ""}
CLIENTS, MANY = 20, 200
PATIENT = {**UNSET, "TELEMETRYFLOW_MCP_STORAGE_TIMEOUT_SECONDS": f"{PATIENCE:g}"}


@contextmanager
def running(
    state: Path,
    variables: Mapping[str, str] | None = None,
    port: int | None = None,
    become: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Iterator[tuple[HttpServer, HttpClient]]:
    """Run a server with this state directory and no named database."""
    own = {**PATIENT, "XDG_STATE_HOME": str(state), **(variables or {})}
    with http_server(variables=own, at=port, become=become) as server, http_client(server.url) as client:
        yield server, client


def tfo_mcp(place: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Run the command in an empty directory and return its output, whatever its exit code."""
    (place / "work").mkdir(exist_ok=True)
    own = {**UNSET, "XDG_STATE_HOME": str(place / "state"), **(variables or {})}
    done = run_command(*arguments, directory=place / "work", variables=own, seconds=3 * PATIENCE)
    return done.stdout + done.stderr


def storage_findings(place: Path, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what `tfo-mcp doctor` finds about storage."""
    output = tfo_mcp(place, "doctor", "--json", variables=variables)
    found: list[dict[str, Any]] = json.loads(output)["storage"]
    return found


def test_a_session_over_http_survives_a_kill_in_a_private_file_of_its_port(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(state) as (server, client):
        session = client.handshake("2025-11-25")
        port = server.port
        server.child.process.kill()
        server.child.process.wait()
    file = state / "tfo-mcp" / f"tfo-mcp-{port}.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    variables = {"TELEMETRYFLOW_MCP_SERVER_PORT": str(port)}
    (stdio, default) = storage_findings(tmp_path, variables)
    assert (stdio["subject"], stdio["status"]) == ("memory:", "ok")
    assert (default["subject"], default["status"]) == (f"sqlite://{file}", "ok")
    assert "default of network transports: reachable, tables of revision" in default["detail"]
    with running(state, port=port) as (server, client):
        again = Session(client, session.result, dict(session.headers))
        assert again.call("ping").result == {}
        assert WARNING not in server.child.stderr()
        key = tfo_mcp(tmp_path, "keys", "create", "--name", "mine").splitlines()[-1]
        hello = request(1, "initialize", initialize_params("2025-11-25"))
        assert client.post(hello, {"Authorization": f"Bearer {key}"}).status == 200
        assert client.post(hello, {"Authorization": f"Bearer {key[:-1]}"}).status == 401
        assert (state / "tfo-mcp" / "keys.json").exists()


def test_sessions_that_many_clients_open_at_once_survive_a_kill(tmp_path: Path) -> None:
    opened: SimpleQueue[Session] = SimpleQueue()

    def open_sessions(url: str) -> None:
        with http_client(url) as client:
            while True:
                opened.put(client.handshake("2025-11-25"))

    with ThreadPoolExecutor(CLIENTS) as clients, running(tmp_path / "state") as (server, _):
        opening = [clients.submit(open_sessions, server.url) for _ in range(CLIENTS)]
        wait_until(lambda: opened.qsize() >= MANY or any(each.done() for each in opening), "the sessions are open")
        assert not any(each.done() for each in opening)
        server.child.process.kill()
        server.child.process.wait()
        assert all(isinstance(each.exception(PATIENCE), httpx.TransportError) for each in opening)
    with running(tmp_path / "state", port=server.port) as (_, client):
        for _ in range(opened.qsize()):
            session = opened.get()
            again = Session(client, session.result, dict(session.headers))
            assert "tools" in again.call("tools/list").result


def test_a_state_directory_beneath_a_root_gets_no_file(tmp_path: Path) -> None:
    with running(tmp_path / "state", {"TELEMETRYFLOW_MCP_FILES_ROOTS": str(tmp_path)}) as (server, client):
        client.handshake("2025-11-25")
        wait_until(lambda: "lies beneath the root" in server.child.stderr(), "the log says why")
        assert WARNING in server.child.stderr()
    assert list((tmp_path / "state" / "tfo-mcp").glob("*.db")) == []


def test_a_server_without_the_extra_serves_from_memory_and_doctor_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sqlalchemy.py").write_text("raise ImportError('not installed')")
    variables = {"PYTHONPATH": str(broken)}
    with running(tmp_path / "state", variables, become=list) as (server, client):  # a forked one may have imported it
        client.handshake("2025-11-25")
        wait_until(lambda: "tfo-mcp[sql]" in server.child.stderr(), "the log says why")
        assert WARNING in server.child.stderr()
    own = {**UNSET, "XDG_STATE_HOME": str(tmp_path / "state"), "TELEMETRYFLOW_MCP_SERVER_PORT": str(free_port())}
    done = subprocess.run(  # of a new interpreter, like the server
        [*command(), "doctor", "--json"],
        cwd=tmp_path,
        env=environment({**own, **variables}),
        capture_output=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    _, default = json.loads(done.stdout)["storage"]
    assert default["status"] == "note"
    assert "tfo-mcp[sql]" in default["detail"]


class TestDoctor:
    def test_a_missing_file_is_not_created(self, tmp_path: Path) -> None:
        url = f"sqlite://{tmp_path}/elsewhere/tfo.db"
        (finding,) = storage_findings(tmp_path, {"TELEMETRYFLOW_MCP_STORAGE_URL": url})
        assert (finding["subject"], finding["status"]) == (url, "ok")
        assert finding["detail"] == "is created when a server starts"
        assert not (tmp_path / "elsewhere").exists()

    def test_a_database_without_tables_is_broken_and_the_command_named(
        self, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        variables = {"TELEMETRYFLOW_MCP_STORAGE_URL": new_database("postgresql", request)}
        (before,) = storage_findings(tmp_path, variables)
        assert before["status"] == "broken"
        assert "run `tfo-mcp migrate up`" in before["detail"]
        assert "up to date" in tfo_mcp(tmp_path, "migrate", "up", variables=variables)
        (after,) = storage_findings(tmp_path, variables)
        assert after["status"] == "ok"
        assert "up to date" in after["detail"]

    def test_services_that_do_not_answer_are_broken(self, tmp_path: Path) -> None:
        port = free_port()
        variables = {
            "TELEMETRYFLOW_MCP_STORAGE_URL": f"postgresql://me:secret-word@127.0.0.1:{port}/tfo",
            "TELEMETRYFLOW_MCP_STATE_URL": f"redis://me:secret-word@127.0.0.1:{port}/0",
        }
        output = tfo_mcp(tmp_path, "doctor", "--json", variables=variables)
        found = json.loads(output)
        assert [found[section][0]["status"] for section in ("storage", "state")] == ["broken", "broken"]
        assert "secret-word" not in output
