"""The commands `tfo-mcp telemetry`: what they show of a store, and what they do to it."""

import json
import os
import subprocess
from collections.abc import Iterator
from threading import Thread

import pytest

from tests.support.deadlines import PATIENCE, Deadline
from tests.support.otlp_senders import exporters, send_everything
from tests.support.processes import command, environment, run_command
from tests.support.telemetry_stores import RunningStore, telemetry_store

SECONDS = 6 * PATIENCE


@pytest.fixture
def store() -> Iterator[RunningStore]:
    with telemetry_store() as running:
        yield running


def variables(store: RunningStore) -> dict[str, str]:
    on = {"TELEMETRYFLOW_MCP_TELEMETRY_STORE": "embedded", "COLUMNS": "200"}
    return {"XDG_STATE_HOME": os.fspath(store.home), **on}


def run(store: RunningStore, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command("telemetry", *arguments, variables=variables(store), seconds=SECONDS)


def test_commands_show_export_and_delete_what_is_stored(store: RunningStore) -> None:
    hostile = "shop\x1b[2J\x9b"
    trace_id = send_everything(hostile, *exporters("http", store.http))
    status = run(store, "status").stdout
    for shown in (f"pid {store.process.pid}", store.http, "shop\\u001b[2J", "metric points"):
        assert shown in status
    assert not set("\x1b\x9b") & set(status)
    printed = run(store, "status", "--json").stdout
    assert not set("\x1b\x9b") & set(printed)
    found = json.loads(printed)
    assert (found["pid"], found["otlp_http"], found["counts"]["spans"]) == (store.process.pid, store.http, 2)
    assert found["period"]["from"] <= found["period"]["to"]
    assert [each["name"] for each in found["services_of_last_hour"]] == [hostile]
    exported = [json.loads(line) for line in run(store, "export").stdout.splitlines()]
    assert {record["table"] for record in exported} == {
        *("otel_traces", "otel_logs", "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram"),
        "otel_metrics_exponential_histogram",
    }
    assert [record["TraceId"] for record in exported if record["table"] == "otel_traces"] == [trace_id] * 2
    assert run(store, "clear").returncode == 2
    assert store.ask(lambda client: client.status()).spans == 2
    assert json.loads(run(store, "clear", "--yes", "--json").stdout) == {"cleared": True}
    assert store.ask(lambda client: client.status()).spans == 0


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_tail_prints_what_arrives_without_its_control_characters(store: RunningStore, options: list[str]) -> None:
    line = [*command(), "telemetry", "tail", *options]
    with subprocess.Popen(line, env=environment(variables(store)), stdout=subprocess.PIPE, text=True) as tail:
        try:
            deadline, lines = Deadline(SECONDS, "tail prints spans and log records"), list[str]()
            reader = Thread(target=lambda: lines.extend(iter(tail.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
            reader.start()
            while not {"span", "log"} <= kinds(lines):  # tail may begin after the first ones
                send_everything("shop\x1b[2J", *exporters("http", store.http))
                assert deadline.left()
        finally:
            tail.kill()
    assert "\x1b" not in "".join(lines)
    assert any("shop\\u001b[2J" in line for line in lines)


def kinds(lines: list[str]) -> set[str]:
    """Return which kinds of records of `send_everything` were printed."""
    if lines and lines[0].startswith("{"):
        tables = {json.loads(line)["table"] for line in lines}
        return {kind for kind, table in (("span", "otel_traces"), ("log", "otel_logs")) if table in tables}
    failed = {"span" for line in lines if "SELECT" in line and "error no cart 42" in line}
    return failed | {"log" for line in lines if "ERROR  no cart 42" in line}


def test_stop_ends_the_process_and_keeps_what_is_stored(store: RunningStore) -> None:
    send_everything("shop", *exporters("http", store.http))
    assert json.loads(run(store, "stop", "--json").stdout) == {"was_running": True}
    assert store.process.wait() == 0
    assert "does not run" in run(store, "status").stdout
    assert run(store, "stop").stdout == "The telemetry store does not run.\n"
    with telemetry_store(home=store.home):
        assert store.ask(lambda client: client.status()).spans == 2
