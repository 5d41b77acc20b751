"""The audit log on a full disk: no two lines are joined, lost lines are counted, and changes can be refused.

A limit on file sizes (RLIMIT_FSIZE) truncates writes just as a full disk does.
"""

import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.processes import Child, run_command, stdio_child
from tests.support.stdio_client import StdioClient
from tests.support.websocket_conversation import websocket

FILLED = json.dumps({"event": "filling"}) + "\n"
ROOM = 60  # bytes: less than one line
UNLIMITED = resource.RLIM_INFINITY


def fill(path: Path) -> None:
    """Write a log that is far larger than any other file of these tests."""
    path.write_text(FILLED * 20_000)
    path.chmod(0o600)


def limit(child: Child, size: int) -> None:
    """Limit the size of the files that a process writes, in bytes."""
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines(keepends=True) if line != FILLED]


def change(gate: Guarded, key: str, name: str) -> httpx.Response:
    arguments = {"path": name, "content": "y"}
    return gate.stateless(key, "tools/call", {"name": "write_file", "arguments": arguments})


@pytest.fixture(params=[False, True], ids=["best effort", "required"])
def gate(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guarded]:
    fill(tmp_path / "audit.jsonl")
    with guarded(tmp_path, security={"audit_required": request.param}) as running:
        yield running


def is_required(gate: Guarded) -> bool:
    return bool(json.loads((gate.place / "tfo-mcp.yaml").read_text())["security"]["audit_required"])


def test_a_line_cut_short_is_followed_by_a_fresh_one_and_by_what_was_lost(gate: Guarded) -> None:
    key, path = gate.key("admin"), gate.place / "audit.jsonl"
    assert change(gate, key, "before").status_code == 200
    limit(gate.server.child, path.stat().st_size + ROOM)
    answers = [change(gate, key, f"full-{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [503 if is_required(gate) else 200] * 3
    assert (gate.place / "root" / "full-0").exists() != is_required(gate)
    read = {"name": "read_file", "arguments": {"path": "before"}}
    assert gate.stateless(key, "tools/call", read).status_code == 200
    ready = httpx.get(f"{gate.server.origin}/readyz", timeout=PATIENCE)
    assert (ready.status_code, ready.json()["failing"]) == (503, ["security.audit_file"])
    limit(gate.server.child, UNLIMITED)
    assert change(gate, key, "after").status_code == 200
    assert httpx.get(f"{gate.server.origin}/readyz", timeout=PATIENCE).status_code == 200
    found = lines(path)
    (half,) = [line for line in found if not line.endswith("}\n")]
    assert len(half) == ROOM + 1
    whole = [json.loads(line) for line in found if line != half]
    after = found.index(half) + 1
    resumed = json.loads(found[after])
    assert (resumed["event"], resumed["decision"], resumed["lost"] >= 3) == ("audit", "resumed", True)
    assert [entry["outcome"] for entry in whole if entry.get("name") == "write_file"].count("started") == (
        2 if is_required(gate) else 0
    )


def test_changes_are_refused_with_a_clear_error_while_they_cannot_be_recorded(tmp_path: Path) -> None:
    fill(tmp_path / "audit.jsonl")
    with guarded(tmp_path, security={"audit_required": True}) as gate:
        key, reader = gate.key("admin"), gate.key()
        limit(gate.server.child, (tmp_path / "audit.jsonl").stat().st_size)
        refused = change(gate, key, "x")
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["data"]["kind"]) == (503, -31006, "audit_unavailable")
        assert "security.audit_required" in error["message"]
        assert change(gate, reader, "x").status_code == 403
        with websocket(gate.server, additional_headers={"X-API-Key": key}) as connection:
            connection.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
            connection.recv(PATIENCE)
            connection.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
            for number, (tool, arguments) in enumerate(
                [("execute_command", {"argv": ["true"]}), ("echo", {"message": "hi"})], 2
            ):
                connection.send(json.dumps(request(number, "tools/call", {"name": tool, "arguments": arguments})))
                reply = json.loads(connection.recv(PATIENCE))
                assert ("error" in reply) == (tool == "execute_command")
        limit(gate.server.child, UNLIMITED)
        assert change(gate, key, "x").status_code == 200
        started, ended = [entry for entry in map(json.loads, lines(tmp_path / "audit.jsonl")) if "digest" in entry][-2:]
        assert (started["outcome"], ended["outcome"], started["digest"]) == ("started", "ok", ended["digest"])


def full(place: Path, **security: Any) -> JsonObject:
    """Return settings whose audit log is on a device that is always full."""
    (place / "root").mkdir(exist_ok=True)
    (place / "audit.jsonl").symlink_to("/dev/full")
    return {
        "files": {"roots": [str(place / "root")]},
        "security": {"audit_file": str(place / "audit.jsonl"), "keys_file": str(place / "keys.json"), **security},
    }


@pytest.mark.parametrize("required", [False, True])
def test_the_owner_on_stdio_is_held_to_it_too(tmp_path: Path, required: bool) -> None:
    with stdio_child(full(tmp_path, audit_required=required)) as child:
        client = StdioClient(child)
        client.handshake()
        for number in range(3):
            arguments = {"path": f"x{number}", "content": "y"}
            reply = client.call("tools/call", {"name": "write_file", "arguments": arguments})
            assert ("error" in reply) == required
            assert (tmp_path / "root" / f"x{number}").exists() != required
        wait_until(lambda: "the audit log cannot be written" in child.stderr(), "the log says so")
        assert child.stderr().count("the audit log cannot be written") == 1


@pytest.mark.parametrize("required", [False, True])
def test_keys_are_not_changed_while_that_cannot_be_recorded(tmp_path: Path, required: bool) -> None:
    (tmp_path / "tfo-mcp.yaml").write_text(json.dumps(full(tmp_path, audit_required=required)))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command("keys", *arguments, "--config", tmp_path / "tfo-mcp.yaml")

    created = run("create", "--name", "x")
    assert (created.returncode, "security.audit_required" in created.stderr) == ((2, True) if required else (0, False))
    assert len(json.loads(run("list", "--json").stdout)) == (0 if required else 1)


def test_requiring_a_log_that_is_switched_off_stops_the_start(tmp_path: Path) -> None:
    variables = {"TELEMETRYFLOW_MCP_SECURITY_AUDIT": "false", "TELEMETRYFLOW_MCP_SECURITY_AUDIT_REQUIRED": "true"}
    done = run_command("serve", "--transport", "http", "--port", "0", directory=tmp_path, variables=variables)
    assert (done.returncode, "security.audit_required" in done.stderr) == (2, True)


def test_half_a_line_that_is_there_at_the_start_stays_alone(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    path = tmp_path / "audit.jsonl"
    path.write_text('{"time": "half')
    settings = {"files": {"roots": [str(tmp_path / "root")]}, "security": {"audit_file": str(path)}}
    with stdio_child(settings) as child:
        client = StdioClient(child)
        client.handshake()
        for number in range(3):
            if number == 2:
                with path.open("a") as other:
                    other.write("half of another process")
            arguments = {"path": f"x{number}", "content": "y"}
            client.call("tools/call", {"name": "write_file", "arguments": arguments})
    first, *middle, half, last = path.read_text().splitlines()
    assert (first, half) == ('{"time": "half', "half of another process")
    assert [json.loads(line)["name"] for line in (*middle, last)] == ["write_file"] * 3
