"""GET /readyz: a missing dependency is named, and the server becomes ready again when it returns."""

import json
import os
from collections.abc import Iterator

import httpx
import pytest

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.guarded import Guarded, guarded


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("gate"), telemetry={"prometheus": True}) as running:
        yield running


def readiness(gate: Guarded) -> tuple[int, str, list[str]]:
    answer = httpx.get(f"{gate.server.origin}/readyz", timeout=PATIENCE)
    return answer.status_code, answer.json()["status"], answer.json()["failing"]


READY: tuple[int, str, list[str]] = (200, "ready", [])


def test_a_server_that_has_what_it_needs_is_ready(gate: Guarded) -> None:
    assert readiness(gate) == READY
    read = gate.stateless(gate.key("admin"), "resources/read", {"uri": "status://health"}).json()
    health = json.loads(read["result"]["contents"][0]["text"])
    assert (health["status"], health["readiness"], health["failing"]) == ("ok", "ready", [])


def test_keys_that_cannot_be_read_are_named_until_they_can(gate: Guarded) -> None:
    gate.key("admin")
    keys = gate.place / "keys.json"
    good = keys.read_bytes()
    keys.write_bytes(b"{")
    wait_until(lambda: readiness(gate) == (503, "failing", ["security.keys_file"]), "the keys are named")
    keys.write_bytes(good)
    wait_until(lambda: readiness(gate) == READY, "the server is ready again")


def test_an_audit_log_that_cannot_be_written_is_named_until_it_can(gate: Guarded) -> None:
    audit, away = gate.place / "audit.jsonl", gate.place / "away"
    audit.rename(away)
    audit.mkdir()  # a directory cannot be opened for appending
    wait_until(lambda: gate.stateless(None, "tools/list").status_code == 401 and readiness(gate)[0] == 503, "it fails")
    assert readiness(gate) == (503, "failing", ["security.audit_file"])
    audit.rmdir()
    away.rename(audit)
    wait_until(lambda: readiness(gate) == READY, "the server is ready again")
    assert os.path.getsize(audit) > 0


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/metrics"])
def test_only_reading_is_answered(gate: Guarded, path: str) -> None:
    answer = httpx.post(f"{gate.server.origin}{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert httpx.head(f"{gate.server.origin}{path}").status_code == 200


def test_a_root_that_was_removed_is_named(gate: Guarded) -> None:
    """This test runs last, because the root stays removed."""
    (gate.place / "root").rmdir()
    assert readiness(gate) == (503, "failing", ["files.roots"])
    metrics = f"{gate.server.origin}/metrics"
    wait_until(lambda: "\ntfo_mcp_ready 0.0\n" in httpx.get(metrics).text, "the metric says so")
    health = httpx.get(f"{gate.server.origin}/healthz")
    assert (health.status_code, health.json()["failing"]) == (200, ["files.roots"])
