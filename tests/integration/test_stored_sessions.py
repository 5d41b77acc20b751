"""Sessions in a database: a session over HTTP goes on after its server was killed and started again."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import ENGINES, PEPPER, access_to, new_database
from tests.support.deadlines import wait_until
from tests.support.envelopes import initialize_params, notification, request
from tests.support.http_client import HttpClient, Session, http_client
from tests.support.processes import PROJECT, HttpServer, http_server
from tests.support.streamable_http import call_tool, text_of

REVISIONS = ("2025-03-26", "2025-11-25")
PLUGIN = "tests.support.plugins.http_tools"


@dataclass
class Place:
    """A database, and a directory with a root; `running` starts a server on both."""

    url: str
    directory: Path

    @contextmanager
    def running(self, **sections: Mapping[str, Any]) -> Iterator[tuple[HttpServer, HttpClient]]:
        """Run a server; `sections` are added to its settings."""
        settings: dict[str, Mapping[str, Any]] = {
            "storage": {"url": self.url, "timeout_seconds": 20},
            "security": {"key_pepper": PEPPER, "anonymous": "all", "audit": False},
            "files": {"roots": [str(self.root)]},
            "mcp": {"plugins": [PLUGIN]},
            **sections,
        }
        variables = {"PYTHONPATH": str(PROJECT)}
        with http_server(settings, variables=variables) as server, http_client(server.url) as client:
            yield server, client

    @property
    def root(self) -> Path:
        """The root of the server."""
        return self.directory / "root"


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = new_database(request.param, request)
    access_to(url).upgrade()
    (tmp_path / "root").mkdir()
    return Place(url, tmp_path)


def kill(server: HttpServer) -> None:
    """End a server at once."""
    server.child.process.kill()
    server.child.process.wait()


def moved(session: Session, client: HttpClient) -> Session:
    """Return the session as a session of another server."""
    return Session(client, session.result, dict(session.headers))


def test_a_session_goes_on_with_its_log_level_and_its_subscriptions(place: Place) -> None:
    file = place.root / "watched.txt"
    file.write_text("one")
    with place.running() as (server, client):
        sessions = [client.handshake(revision) for revision in REVISIONS]
        for session in sessions:
            assert session.call("logging/setLevel", {"level": "error"}).result == {}
            assert session.call("resources/subscribe", {"uri": file.as_uri()}).result == {}
        kill(server)
    with place.running() as (server, client):
        for session in sessions:
            again = moved(session, client)
            talked = call_tool(again, "talk", count=1)
            assert text_of(talked.result) == "talked"
            assert talked.notifications("notifications/message") == []
            with again.listen() as stream:
                file.write_text(f"{file.read_text()} and another")
                assert stream.next_message()["params"]["uri"] == file.as_uri()
        assert server.sessions() == 2


def test_what_was_answered_is_kept_and_what_was_ended_is_gone(place: Place) -> None:
    with place.running() as (server, client):
        ended, closed, kept = (client.handshake(REVISIONS[1]) for _ in range(3))
        assert ended.delete().status == 204
        assert closed.call("shutdown").result == {}
        opened = client.post(request(1, "initialize", initialize_params(REVISIONS[1])))
        kill(server)
    headers = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
    with place.running() as (server, client):
        for gone in (ended, closed):
            assert moved(gone, client).call("ping").status == 404
        assert moved(kept, client).call("ping").result == {}
        assert "error" in client.post(request(2, "tools/list"), headers).message
        assert client.post(notification("notifications/initialized"), headers).status == 202
        kill(server)
    with place.running() as (_, client):
        assert client.post(request(3, "tools/list"), headers).result["tools"]


def test_sessions_of_an_earlier_process_count_and_make_room(place: Place) -> None:
    limited = {"plugins": [PLUGIN], "max_sessions_per_caller": 3}
    with place.running(mcp=limited) as (server, client):
        sessions = [client.handshake(REVISIONS[1]) for _ in range(3)]
        kill(server)
    with place.running(mcp=limited) as (server, client):
        wait_until(lambda: server.sessions() == 3, "the sessions are loaded")
        assert moved(sessions[0], client).call("ping").result == {}
        client.handshake(REVISIONS[1])
        assert server.sessions() == 3
        assert [moved(session, client).call("ping").status for session in sessions] == [200, 404, 200]


def test_a_session_that_was_idle_too_long_is_gone(tmp_path: Path) -> None:
    place = Place(f"sqlite://{tmp_path}/state/tfo.db", tmp_path)
    place.root.mkdir()
    with place.running() as (server, client):
        old, young = (client.handshake(REVISIONS[1]) for _ in range(2))
        kill(server)
    connection = sqlite3.connect(tmp_path / "state" / "tfo.db")
    with connection:
        connection.execute("UPDATE tfo_sessions SET used = used - 1801 WHERE id = ?", [old.headers["Mcp-Session-Id"]])
    connection.close()
    with place.running() as (server, client):
        assert moved(old, client).call("ping").status == 404
        assert moved(young, client).call("ping").status == 200


def test_a_graceful_stop_keeps_the_times_of_use(tmp_path: Path) -> None:
    place = Place(f"sqlite://{tmp_path}/state/tfo.db", tmp_path)
    place.root.mkdir()

    def used(session: Session) -> float:
        connection = sqlite3.connect(tmp_path / "state" / "tfo.db")
        (time,) = connection.execute(
            "SELECT used FROM tfo_sessions WHERE id = ?", [session.headers["Mcp-Session-Id"]]
        ).fetchone()
        connection.close()
        return float(time)

    with place.running() as (_, client):
        session = client.handshake(REVISIONS[1])
        opened = used(session)
        wait_until(lambda: session.call("ping").status == 200 and used(session) > opened, "the use is written")
        latest = used(session)
        assert session.call("ping").status == 200
    assert used(session) > latest
