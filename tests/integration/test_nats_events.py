"""Events of a real server in a real NATS: each once, in order, whatever is killed, and readable by other programs."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import jsonschema_rs
import pytest

from tests.support.deadlines import PATIENCE, QUICK, wait_until
from tests.support.envelopes import request, stateless_headers, stateless_params
from tests.support.event_schemas import FOLDER, event_schemas
from tests.support.http_client import http_client
from tests.support.nats_server import NatsServer, nats_server
from tests.support.nats_streams import stored_messages
from tests.support.processes import HttpServer, http_server, run_command

STREAM = "TFO_MCP_EVENTS"
TRACE = "00-" + "a1" * 16 + "-" + "b2" * 8 + "-01"


def settings(place: Path, url: str) -> Path:
    file = place / "tfo-mcp.yaml"
    whole = {
        "events": {"url": url, "durability": "calls"},
        "storage": {"url": f"sqlite://{place}/state.sqlite", "timeout_seconds": PATIENCE},
        "security": {"anonymous": "all"},
        "logging": {"format": "json"},
    }
    file.write_text(json.dumps(whole))
    return file


@contextmanager
def serving(place: Path, url: str) -> Iterator[HttpServer]:
    with http_server(settings(place, url)) as server:
        yield server


@pytest.fixture(scope="module")
def nats() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


def messages(nats: NatsServer) -> list[tuple[str, dict[str, Any]]]:
    return anyio.run(stored_messages, nats.url, STREAM)


def echo(server: HttpServer, number: int, **meta: str) -> None:
    """Call a tool, and check that it is answered."""
    params = stateless_params({"name": "echo", "arguments": {"message": str(number)}})
    params["_meta"].update(meta)
    message = request(number, "tools/call", params)
    with http_client(server.url) as client:
        reply = client.post(message, stateless_headers(message))
    assert reply.status == 200, reply


def executed(nats: NatsServer) -> int:
    return sum(event["type"] == "tfo.mcp.ToolExecuted" for _, event in messages(nats))


def test_published_schemas_are_those_of_the_events() -> None:
    """After a change of an event, `make schemas` writes docs/events again."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == event_schemas()


def test_events_are_cloud_events_that_other_programs_can_read_and_check(nats: NatsServer, tmp_path: Path) -> None:
    with serving(tmp_path, nats.url) as server, http_client(server.url) as client:
        session = client.handshake()
        session.call("tools/call", {"name": "echo", "arguments": {"message": "a secret argument"}})
        session.delete()
        echo(server, 1, traceparent=TRACE)
        wait_until(lambda: executed(nats) == 2, "the events are in the stream")
    found = messages(nats)
    kinds = {subject.removeprefix("tfo.mcp.events.") for subject, _ in found}
    assert kinds >= {"session.SessionCreated", "session.SessionClosed", "tool.ToolExecuted"}
    for subject, event in found:
        kind = event["type"].removeprefix("tfo.mcp.")
        assert subject.endswith(f".{kind}")
        jsonschema_rs.validator_for(json.loads((FOLDER / f"{kind}.json").read_text())).validate(event)
    sessions = [event["type"] for subject, event in found if ".session." in subject]
    assert sessions == ["tfo.mcp.SessionCreated", "tfo.mcp.SessionInitialized", "tfo.mcp.SessionClosed"]
    assert found[-1][1]["traceparent"].split("-")[1] == "a1" * 16
    whole = json.dumps(found)
    assert "a secret argument" not in whole
    assert session.headers["Mcp-Session-Id"] not in whole


def test_the_command_line_reads_the_stream(nats: NatsServer, tmp_path: Path) -> None:
    config = settings(tmp_path, nats.url)

    def run(*words: str) -> Sequence[dict[str, Any]]:
        done = run_command("events", *words, "--config", config)
        assert done.returncode == 0, done.stderr
        return [json.loads(row) for row in done.stdout.splitlines()]

    stored = [event for _, event in messages(nats)]
    assert run("tail", "-n", "2") == stored[-2:]
    assert run("replay", "--since", "1h", "--subject", "session.*") == [
        event for event in stored if event["source"] == "/tfo-mcp/session"
    ]


def test_no_event_is_lost_or_doubled_while_nats_and_the_server_are_killed(tmp_path: Path) -> None:
    with nats_server() as nats:
        (tmp_path / "place").mkdir()
        with serving(tmp_path / "place", nats.url) as server:
            echo(server, 1)
            wait_until(lambda: executed(nats) == 1, "the first event is in the stream")
            nats.kill()
            began = time.monotonic()
            for number in range(2, 12):
                echo(server, number)
            assert time.monotonic() - began < QUICK  # calls do not wait for NATS
            server.child.process.kill()
        with serving(tmp_path / "place", nats.url) as server:
            echo(server, 12)
            with nats.running():
                wait_until(lambda: executed(nats) == 12, "every event is in the stream")
                found = [event["id"] for _, event in messages(nats)]
                assert len(set(found)) == len(found)


def test_an_event_log_without_its_package_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tfo-mcp.yaml").write_text(json.dumps({"events": {"url": "kafka://host"}}))
    done = run_command("validate", "--config", tmp_path / "tfo-mcp.yaml")
    assert done.returncode != 0
    assert "events.url" in done.stderr
    assert "nats://host:port" in done.stderr
