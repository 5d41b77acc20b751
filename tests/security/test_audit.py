"""The audit log: caller, action, time, address and decision of each call, but no values of arguments."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import JsonObject
from tests.support.guarded import Guarded, guarded
from tests.support.processes import command, environment, run_command, stdio_child
from tests.support.stdio_client import StdioClient

VALUE = "a-value-that-is-nobodys-business"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Guarded]:
    with guarded(tmp_path, limits={"calls_per_minute": 30, "burst": 20}) as running:
        yield running


def calls(gate: Guarded) -> list[JsonObject]:
    return [entry for entry in gate.audit() if entry["event"] == "tool_call"]


def call(gate: Guarded, key: str, name: str, **arguments: object) -> JsonObject:
    answer: JsonObject = gate.stateless(key, "tools/call", {"name": name, "arguments": arguments}).json()
    return answer


def test_each_decision_about_a_caller_is_there(gate: Guarded) -> None:
    key = gate.key()
    gate.stateless(key, "tools/list")
    gate.stateless(None, "tools/list")
    gate.stateless("tfo_wrong", "tools/list")
    created, allowed, missing, wrong = gate.audit()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", allowed["time"])
    assert (created["event"], created["transport"], created["name"]) == ("key_created", "cli", "test")
    key_id = key.split("_")[1]
    assert allowed == {
        "time": allowed["time"],
        "event": "authentication",
        "decision": "allowed",
        "caller": f"key:{key_id}",
        "method": "key",
        "transport": "http",
        "address": "127.0.0.1",
        "key_id": key_id,
    }
    assert (missing["decision"], missing["caller"]) == ("refused", "nobody")
    assert missing["reason"].startswith("This server needs an API key")
    assert wrong["reason"].startswith("Not an API key")


def test_calls_that_change_or_run_something_or_are_refused_are_there_and_others_are_not(gate: Guarded) -> None:
    key, reader = gate.key("admin"), gate.key()
    call(gate, key, "echo", message=VALUE)
    call(gate, key, "write_file", path="a.txt", content=VALUE)
    call(gate, key, "execute_command", argv=["false"])
    call(gate, reader, "write_file", path="b.txt", content=VALUE)
    call(gate, reader, "no_such_tool")
    answers = [call(gate, reader, "echo", message=VALUE) for _ in range(40)]
    assert any("error" in answer for answer in answers)
    written, run, forbidden, unknown, *limited = calls(gate)
    assert {
        "decision": "allowed",
        "name": "write_file",
        "outcome": "ok",
        "arguments": ["content", "path"],
        "caller": f"key:{key.split('_')[1]}",
    }.items() <= written.items()
    assert (written["request_bytes"], written["result_bytes"] > 100) == (
        len(f'{{"content":"{VALUE}","path":"a.txt"}}'),
        True,
    )
    assert 0 < written["seconds"] < PATIENCE
    assert (run["name"], run["outcome"]) == ("execute_command", "tool_error")
    for entry, name in ((forbidden, "write_file"), (unknown, "no_such_tool")):
        assert (entry["decision"], entry["name"], entry["outcome"]) == ("refused", name, "tool_not_found")
    assert {(entry["decision"], entry["outcome"]) for entry in limited} == {("refused", "rate_limited")}
    assert VALUE not in (gate.place / "audit.jsonl").read_text()


def test_equal_arguments_have_equal_hashes_and_others_have_others(gate: Guarded) -> None:
    key = gate.key("admin")
    for content in ("one", "one", "two"):
        call(gate, key, "write_file", path="a.txt", content=content)
    hashes = [entry["digest"] for entry in calls(gate)]
    assert (hashes[0] == hashes[1], hashes[0] == hashes[2]) == (True, False)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)


def test_the_owner_of_the_process_is_written_down_too(tmp_path: Path) -> None:
    configuration = {"files": {"roots": [str(tmp_path)]}, "security": {"audit_file": str(tmp_path / "audit.jsonl")}}
    with stdio_child(configuration) as child:
        client = StdioClient(child)
        client.handshake()
        client.call("tools/call", {"name": "write_file", "arguments": {"path": "x", "content": "y"}})
        (entry,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert (entry["caller"], entry["transport"], entry["name"]) == ("owner", "stdio", "write_file")
    assert "address" not in entry


def test_no_decision_is_lost_when_the_server_is_killed(gate: Guarded) -> None:
    key = gate.key("admin")
    for number in range(5):
        call(gate, key, "write_file", path=f"{number}.txt", content="x")
    gate.server.child.process.kill()
    gate.server.child.wait()
    assert len(calls(gate)) == 5


def test_a_log_that_was_moved_away_is_begun_anew(gate: Guarded) -> None:
    key = gate.key()
    os.rename(gate.place / "audit.jsonl", gate.place / "audit.1")

    def is_back() -> bool:
        gate.stateless(key, "tools/list")
        return (gate.place / "audit.jsonl").exists()

    wait_until(is_back, "there is a new file")
    assert gate.audit()[-1]["decision"] == "allowed"


def test_tail_shows_the_latest_and_follows(gate: Guarded) -> None:
    key = gate.key()
    for _ in range(3):
        gate.stateless(key, "tools/list")
    shown = gate.run("audit", "tail", "-n", "2")
    assert [json.loads(entry) for entry in shown.splitlines()] == gate.audit()[-2:]
    line = [*command(), "audit", "tail", "--config", str(gate.place / "tfo-mcp.yaml")]
    with subprocess.Popen(
        [*line, "-n", "0", "--follow"], env=environment(), stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        os.set_blocking(following.stdout.fileno(), False)
        seen: list[str] = []

        def arrives() -> bool:
            gate.stateless(key, "prompts/list")
            assert following.stdout is not None
            seen.extend(following.stdout.readlines())
            return len(seen) > 1

        wait_until(arrives, "new decisions are shown")
        following.terminate()
    assert all(json.loads(entry)["event"] == "authentication" for entry in seen)


def test_a_place_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    variables = {"TELEMETRYFLOW_MCP_SECURITY_AUDIT_FILE": "/proc/audit.jsonl"}
    done = run_command("serve", "--transport", "http", "--port", "0", variables=variables)
    assert (done.returncode, "security.audit_file: /proc/audit.jsonl cannot be written" in done.stderr) == (2, True)


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    with guarded(tmp_path, security={"audit": False}) as gate:
        gate.stateless(gate.key(), "tools/list")
        assert not (tmp_path / "audit.jsonl").exists()
