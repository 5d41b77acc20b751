"""The audit log under floods of decisions, on every transport: few lines count all of them; and log rotation."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import LATEST_HANDSHAKE, JsonObject, initialize_params, request
from tests.support.guarded import Guarded, guarded
from tests.support.processes import command, environment, stdio_child
from tests.support.stdio_client import StdioClient
from tests.support.websocket_conversation import websocket

FLOOD = 600
FULL = 10
UNKNOWN = {"name": "no_such_tool", "arguments": {}}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Guarded]:
    with guarded(tmp_path, limits={"calls_per_minute": 0, "calls_at_once": 0}) as running:
        yield running


def entries(path: Path) -> list[JsonObject]:
    """Return the entries of a log; every line must be complete and printable ASCII."""
    text = path.read_bytes()
    assert text.isascii()
    assert text == b"" or text.endswith(b"\n")
    lines = text.decode().split("\n")[:-1]
    assert all(line.isprintable() for line in lines)
    return [json.loads(line) for line in lines]


def decided(found: list[JsonObject], **wanted: object) -> int:
    """Return the number of decisions in the entries that have the wanted fields."""
    return sum(entry.get("count", 1) for entry in found if wanted.items() <= entry.items())


def most_lines(started: float) -> int:
    """Return the maximum number of lines for a flood of one client that began at `started`."""
    return FULL + 2 + int(monotonic() - started)


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/ws"])
def test_wrong_keys_become_one_line_a_second(gate: Guarded, path: str) -> None:
    started = monotonic()
    with gate.client() as one, gate.client(address="127.0.0.2") as other:
        for number in range(FLOOD):
            one.get(path, headers=upgrade(path, f"tfo_{number}"))
        assert other.get(path, headers=upgrade(path, "tfo_other")).status_code == 401
    wait_until(lambda: decided(gate.audit(), address="127.0.0.1") == FLOOD, "all refusals are counted")
    assert decided(gate.audit(), address="127.0.0.2") == 1
    assert len(gate.audit()) <= most_lines(started) + 1
    (*_, summed) = [entry for entry in gate.audit() if "count" in entry]
    assert {"event": "authentication", "decision": "refused", "caller": "nobody"}.items() <= summed.items()
    assert summed["reason"].startswith("This is no API key")


def upgrade(path: str, key: str) -> Mapping[str, str]:
    shown = {"X-API-Key": key}
    if path != "/ws":
        return shown
    handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    return {**shown, **handshake, "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Protocol": "mcp"}


def test_refused_calls_on_one_connection_become_one_line_a_second(gate: Guarded) -> None:
    reader, started = gate.key(), monotonic()
    with websocket(gate.server, additional_headers={"X-API-Key": reader}) as connection:
        connection.send(json.dumps(request(1, "initialize", initialize_params(LATEST_HANDSHAKE))))
        connection.recv(PATIENCE)
        connection.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
        for number in range(FLOOD):
            forbidden = {"name": "write_file", "arguments": {"path": "x", "content": "y"}}
            connection.send(json.dumps(request(number + 2, "tools/call", UNKNOWN if number % 2 else forbidden)))
            connection.recv(PATIENCE)
    wait_until(lambda: decided(gate.audit(), event="tool_call") == FLOOD, "all refusals are counted")
    refused = [entry for entry in gate.audit() if entry["event"] == "tool_call"]
    assert len(refused) <= most_lines(started)
    assert {(entry["decision"], entry["key_id"]) for entry in refused} == {("refused", reader.split("_")[1])}


def test_authentications_of_a_busy_caller_become_one_line_a_second(gate: Guarded) -> None:
    key, other, started = gate.key(), gate.key(), monotonic()
    with gate.client(key) as one, gate.client(other) as two:
        for _ in range(FLOOD):
            one.get("/mcp")
        two.get("/mcp")
    callers = [f"key:{text.split('_')[1]}" for text in (key, other)]
    wait_until(lambda: decided(gate.audit(), caller=callers[0]) == FLOOD, "all authentications are counted")
    assert decided(gate.audit(), caller=callers[1]) == 1
    assert len([entry for entry in gate.audit() if entry["caller"] == callers[0]]) <= most_lines(started)


def test_what_is_counted_is_written_when_the_server_stops(gate: Guarded) -> None:
    with gate.client() as client:
        for number in range(50):
            client.get("/mcp", headers={"X-API-Key": f"tfo_{number}"})
    gate.server.child.stop()
    assert decided(gate.audit(), decision="refused") == 50


def test_calls_refused_on_stdio_are_summed_and_written_at_the_end(tmp_path: Path) -> None:
    with stdio_child(configured(tmp_path)) as child:
        client = StdioClient(child)
        client.handshake()
        for _ in range(FLOOD):
            client.call("tools/call", UNKNOWN)
        client.close_input()
        child.wait()
    found = entries(tmp_path / "audit.jsonl")
    assert (decided(found, event="tool_call", decision="refused"), len(found) < FLOOD / 4) == (FLOOD, True)


def test_lines_are_short_and_printable_whatever_names_a_client_makes_up(tmp_path: Path) -> None:
    names = ["x" * 100_000, "a\u0085b\u009b31m", "\u2028\u2029", "\u202e\u2066", "\x7f\x1b[2J\r\n", "\U0001f600", "ü"]
    with stdio_child(configured(tmp_path)) as child:
        client = StdioClient(child)
        client.handshake()
        for name in names:
            client.call("tools/call", {"name": name, "arguments": {name: 1}})
        client.call("tools/call", {"name": "x", "arguments": {f"argument {number}": number for number in range(5_000)}})
    found = entries(tmp_path / "audit.jsonl")
    assert decided(found) == len(names) + 1
    assert all(len(json.dumps(entry)) < 16_384 for entry in found)


def configured(place: Path, **security: Any) -> dict[str, Any]:
    root = place / "root"
    root.mkdir(exist_ok=True)
    return {
        "files": {"roots": [str(root)]},
        "security": {"audit_file": str(place / "audit.jsonl"), "keys_file": str(place / "keys.json"), **security},
    }


def write(client: StdioClient, number: int, name: str = "x") -> JsonObject:
    arguments = {"path": f"{name}{number}", "content": "y"}
    return client.call("tools/call", {"name": "write_file", "arguments": arguments})


class TestRotation:
    MOST = 2000

    def test_a_large_log_is_rotated_and_only_so_many_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        with stdio_child(configured(tmp_path, audit_max_bytes=self.MOST, audit_files=2)) as child:
            client = StdioClient(child)
            client.handshake()
            (tmp_path / "audit.jsonl.3").write_text("of an earlier setting\n")
            for number in range(40):
                write(client, number)
        found = [path, *(path.with_name(f"audit.jsonl.{number}") for number in (1, 2))]
        assert sorted(tmp_path.glob("audit.jsonl*")) == sorted(found)
        times = [entry["time"] for file in reversed(found) for entry in entries(file)]
        assert (times, len(times) > 10) == (sorted(times), True)
        for file in found:
            assert 0 < file.stat().st_size <= self.MOST
            assert file.stat().st_mode & 0o777 == 0o600

    def test_two_processes_share_a_log_that_is_rotated_and_lose_nothing(self, tmp_path: Path) -> None:
        settings = configured(tmp_path, audit_max_bytes=self.MOST, audit_files=1000)
        with ExitStack() as stack:
            clients = [StdioClient(stack.enter_context(stdio_child(settings))) for _ in range(2)]
            for client in clients:
                client.handshake()
            for number in range(60):
                waiting = [
                    client.start(
                        "tools/call", {"name": "write_file", "arguments": {"path": f"{name}{number}", "content": "y"}}
                    )
                    for name, client in zip("ab", clients, strict=True)
                ]
                for client, identifier in zip(clients, waiting, strict=True):
                    client.reply(identifier)
        files = list(tmp_path.glob("audit.jsonl*"))
        assert len(files) > 10
        assert sum(len(entries(file)) for file in files) == 120

    def test_tail_follows_from_file_to_file(self, tmp_path: Path) -> None:
        settings = configured(tmp_path, audit_max_bytes=self.MOST, audit_files=1000)
        config = tmp_path / "tfo-mcp.yaml"
        config.write_text(json.dumps(settings))
        with stdio_child(config) as child:
            client = StdioClient(child)
            client.handshake()
            for number in range(20):
                write(client, number)
            line = [*command(), "audit", "tail", "--config", str(config)]
            with subprocess.Popen(
                [*line, "-n", "15", "-f"], env=environment(), stdout=subprocess.PIPE, text=True
            ) as tail:
                assert tail.stdout is not None
                shown = [tail.stdout.readline() for _ in range(15)]
                for number in range(20, 50):
                    write(client, number)
                shown += [tail.stdout.readline() for _ in range(30)]
                tail.terminate()
            digests = [json.loads(entry)["digest"] for entry in shown]
        files = sorted(tmp_path.glob("audit.jsonl.*"), key=lambda file: -int(file.suffix[1:]))
        kept = [entry["digest"] for file in [*files, tmp_path / "audit.jsonl"] for entry in entries(file)]
        assert (len(kept), digests) == (50, kept[5:])

    def test_a_log_that_cannot_be_renamed_grows_on(self, tmp_path: Path) -> None:
        with stdio_child(configured(tmp_path, audit_max_bytes=self.MOST, audit_files=1)) as child:
            client = StdioClient(child)
            client.handshake()
            (tmp_path / "audit.jsonl.1").mkdir()  # a file does not replace a directory
            (tmp_path / "audit.jsonl.1" / "x").touch()
            for number in range(30):
                write(client, number)
            wait_until(lambda: "the audit log cannot be rotated" in child.stderr(), "the log says so")
            assert child.stderr().count("the audit log cannot be rotated") == 1
        assert len(entries(tmp_path / "audit.jsonl")) == 30
        os.unlink(tmp_path / "audit.jsonl.1" / "x")
