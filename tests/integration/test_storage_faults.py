"""Faults of the database: what needs it answers in time that it can be repeated, everything else goes on."""

import json
import os
import resource
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.support.databases import PEPPER, access_to, new_database
from tests.support.deadlines import PATIENCE, wait_until
from tests.support.envelopes import initialize_params, request
from tests.support.faulty_proxy import Fault, faulty_proxy
from tests.support.guarded import Guarded, guarded
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.processes import command, environment

TIMEOUT = 1.0  # seconds of one access
SLACK = 2.0  # seconds that a loaded machine may add
DEGRADED = {"status": "degraded", "failing": ["storage"]}
UNAVAILABLE = (503, -31007, "state_unavailable")


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """Return a PostgreSQL server that the test may stop."""
    with postgres_server() as server:
        yield server


@contextmanager
def gate_on(url: str, place: Path, timeout_seconds: float = TIMEOUT) -> Iterator[Guarded]:
    """Run a server that requires keys, on a migrated database."""
    access_to(url).upgrade()
    storage = {"url": url, "timeout_seconds": timeout_seconds}
    with guarded(place, storage=storage, security={"key_pepper": PEPPER, "audit": False}) as gate:
        yield gate


def outcome(answer: httpx.Response) -> tuple[int, int, str]:
    """Return the status, the code and the kind of an error."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["data"]["kind"]


def readiness(gate: Guarded) -> dict[str, Any]:
    """Return the readiness of a server."""
    with gate.client() as client:
        answer: dict[str, Any] = client.get("/readyz").json()
    return answer


class Client:
    """A caller with a key and a session that were known before the fault, and what it may expect during the fault."""

    def __init__(self, gate: Guarded) -> None:
        self.gate = gate
        self.key, self.unseen = gate.key("admin"), gate.key()
        with gate.client(self.key) as client:
            self.session = {"Mcp-Session-Id": gate.session(client)}
        assert gate.stateless(self.key, "tools/list").status_code == 200

    def post(self, key: str, message: dict[str, Any], session: bool = True) -> httpx.Response:
        """Post a message of the session, or without one."""
        with self.gate.client(key) as client:
            return client.post("/mcp", json=message, headers=self.session if session else {})

    def during(self) -> None:
        """Check what goes on and what is refused while the database fails."""
        wait_until(lambda: readiness(self.gate) == DEGRADED, "the fault is noticed")
        begun = monotonic()
        assert self.gate.stateless(self.key, "tools/list").status_code == 200
        assert self.post(self.key, request(2, "tools/list")).json()["result"]["tools"]
        with self.gate.client() as client:
            assert client.get("/healthz").status_code == 200
        opening = self.post(self.key, request(1, "initialize", initialize_params("2025-11-25")), session=False)
        level = self.post(self.key, request(3, "logging/setLevel", {"level": "error"}))
        ending = httpx.delete(
            self.gate.server.url, headers={**self.session, "Authorization": f"Bearer {self.key}"}, timeout=PATIENCE
        )
        for refused in (opening, level, ending):
            assert outcome(refused) == UNAVAILABLE
            assert refused.headers["retry-after"] == "1"
            assert "database" in refused.text
            assert not any(word in refused.text.lower() for word in ("sqlite", "postgres", "locked", "connect"))
        assert monotonic() - begun < 4 * TIMEOUT + SLACK

    def after(self) -> None:
        """Check that everything works again."""
        wait_until(lambda: readiness(self.gate)["status"] == "ready", "the database is used again")
        assert self.gate.stateless(self.unseen, "tools/list").status_code == 200
        assert self.post(self.key, request(4, "logging/setLevel", {"level": "error"})).json()["result"] == {}
        with self.gate.client(self.gate.key()) as client:
            self.gate.session(client)


class TestOutage:
    def test_postgresql_that_was_killed_and_comes_back(self, fragile: PostgresServer, tmp_path: Path) -> None:
        with gate_on(fragile.new_database(), tmp_path) as gate:
            client = Client(gate)
            fragile.kill()
            client.during()
            fragile.start()
            client.after()

    def test_postgresql_that_accepts_and_never_answers(self, fragile: PostgresServer, tmp_path: Path) -> None:
        with gate_on(fragile.new_database(), tmp_path) as gate:
            client = Client(gate)
            with fragile.frozen():
                assert (
                    outcome(client.post(client.key, request(3, "logging/setLevel", {"level": "error"}))) == UNAVAILABLE
                )
                client.during()
            client.after()

    def test_a_server_that_starts_during_an_outage_serves_when_it_is_over(
        self, fragile: PostgresServer, tmp_path: Path
    ) -> None:
        url = fragile.new_database()
        access_to(url).upgrade()
        fragile.kill()
        storage = {"url": url, "timeout_seconds": TIMEOUT}
        with guarded(tmp_path, storage=storage, security={"key_pepper": PEPPER}) as gate:
            wait_until(lambda: readiness(gate) == DEGRADED, "it serves with less")
            from tfo_mcp.domain.keys import generate

            assert outcome(gate.stateless(generate()[1], "tools/list")) == UNAVAILABLE
            fragile.start()
            wait_until(lambda: readiness(gate)["status"] == "ready", "the database is used")
            assert gate.stateless(gate.key(), "tools/list").status_code == 200

    def test_a_file_that_another_process_has_locked(self, tmp_path: Path) -> None:
        with gate_on(f"sqlite://{tmp_path}/state/tfo.db", tmp_path) as gate:
            client = Client(gate)
            connection = sqlite3.connect(tmp_path / "state" / "tfo.db", isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            assert outcome(client.post(client.key, request(3, "logging/setLevel", {"level": "error"}))) == UNAVAILABLE
            client.during()
            connection.execute("ROLLBACK")
            connection.close()
            client.after()

    def test_a_file_that_cannot_grow(self, tmp_path: Path) -> None:
        with gate_on(f"sqlite://{tmp_path}/state/tfo.db", tmp_path) as gate:
            client = Client(gate)
            limits = resource.prlimit(gate.server.child.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(gate.server.child.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
            assert outcome(client.post(client.key, request(3, "logging/setLevel", {"level": "error"}))) == UNAVAILABLE
            client.during()
            resource.prlimit(gate.server.child.pid, resource.RLIMIT_FSIZE, limits)
            client.after()

    def test_a_file_that_was_moved_away(self, tmp_path: Path) -> None:
        place = tmp_path / "state"
        with gate_on(f"sqlite://{place}/tfo.db", tmp_path) as gate:
            client = Client(gate)
            place.rename(tmp_path / "away")
            assert outcome(client.post(client.key, request(3, "logging/setLevel", {"level": "error"}))) == UNAVAILABLE
            client.during()
            (tmp_path / "away").rename(place)
            client.after()


class TestSlowness:
    @pytest.mark.parametrize("fault", ["silent", "slow", "reset"])
    def test_calls_with_known_keys_do_not_wait_for_postgresql(
        self, fault: Fault, postgres: PostgresServer, tmp_path: Path
    ) -> None:
        with faulty_proxy(postgres.port) as proxy:
            url = postgres.new_database().replace(f":{postgres.port}/", f":{proxy.port}/")
            with gate_on(url, tmp_path, timeout_seconds=8.0) as gate:
                client = Client(gate)

                def is_noticed() -> bool:
                    begun = monotonic()
                    assert gate.stateless(client.key, "tools/list").status_code == 200
                    assert client.post(client.key, request(2, "tools/list")).json()["result"]["tools"]
                    assert monotonic() - begun < 4.0
                    return readiness(gate) == DEGRADED

                proxy.begin(fault, delay=8.0)
                wait_until(is_noticed, "the fault is noticed", 20.0)
                proxy.begin("none")
                client.after()


class TestAcknowledged:
    @pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
    def test_no_key_that_was_printed_is_lost_when_processes_are_killed(
        self, engine: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        url = new_database(engine, request)
        access_to(url).upgrade()
        (tmp_path / "work").mkdir()
        settings = {"storage": {"url": url}, "security": {"key_pepper": PEPPER, "audit": False}}
        (tmp_path / "tfo.yaml").write_text(json.dumps(settings))

        def start(*arguments: str) -> subprocess.Popen[str]:
            line = [*command(), "keys", *arguments, "--config", str(tmp_path / "tfo.yaml")]
            return subprocess.Popen(
                line,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                cwd=tmp_path / "work",
            )

        printed = set()
        for number in range(6):
            creating = start("create", "--name", f"key {number}")
            killing = threading.Timer(0.3 + 0.2 * number, creating.kill)
            killing.start()
            output, _ = creating.communicate(timeout=PATIENCE)
            killing.cancel()
            printed |= {line.split("_")[1] for line in output.splitlines() if line.startswith("tfo_")}
        creating = start("create", "--name", "last")
        printed.add(creating.communicate(timeout=PATIENCE)[0].splitlines()[-1].split("_")[1])
        listed, errors = start("list", "--json").communicate(timeout=PATIENCE)
        assert printed <= {key["id"] for key in json.loads(listed)}, errors

    def test_no_session_that_was_opened_is_lost_when_the_server_is_killed(self, tmp_path: Path) -> None:
        url = f"sqlite://{tmp_path}/state/tfo.db"
        opened: list[str] = []
        with gate_on(url, tmp_path) as gate:
            key = gate.key("admin")

            def open_sessions() -> None:
                with gate.client(key) as client:
                    while True:
                        try:
                            opened.append(gate.session(client))
                        except (httpx.HTTPError, AssertionError):
                            return

            threads = [threading.Thread(target=open_sessions) for _ in range(4)]
            for thread in threads:
                thread.start()
            wait_until(lambda: len(opened) > 20, "sessions are opened")
            gate.server.child.process.kill()
            for thread in threads:
                thread.join(PATIENCE)
        os.rmdir(tmp_path / "root")
        with gate_on(url, tmp_path) as gate, gate.client(key) as client:
            for session in opened:
                answer = client.post("/mcp", json=request(1, "tools/list"), headers={"Mcp-Session-Id": session})
                assert answer.json()["result"]["tools"]
