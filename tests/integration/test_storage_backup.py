"""Backup and restore of the database, by the commands of docs/operations.md, while the server runs."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import ENGINES, PEPPER, access_to, new_database
from tests.support.envelopes import request as message
from tests.support.guarded import guarded
from tests.support.postgres import PostgresServer, run
from tests.support.processes import PROJECT

OPERATIONS = (PROJECT / "docs" / "operations.md").read_text()


def copied_file(url: str, place: Path) -> Callable[[], str]:
    """Back up an SQLite file; return a function that restores it as another file and returns its URL."""
    statement = "VACUUM INTO 'backup.db'"
    assert f'sqlite3 tfo-mcp.db "{statement}"' in OPERATIONS
    connection = sqlite3.connect(url.removeprefix("sqlite://"))
    connection.execute(statement.replace("backup.db", f"{place}/backup.db"))
    connection.close()

    def restore() -> str:
        (place / "restored").mkdir(mode=0o700)
        (place / "backup.db").chmod(0o600)
        return f"sqlite://{(place / 'backup.db').rename(place / 'restored' / 'tfo-mcp.db')}"

    return restore


def dumped_database(url: str, server: PostgresServer) -> Callable[[], str]:
    """Dump a PostgreSQL database; return a function that restores it into another one and returns its URL."""
    assert "pg_dump --format=custom" in OPERATIONS
    assert "pg_restore --no-owner --exit-on-error" in OPERATIONS
    dump = run("pg_dump", "--format=custom", *server.options(url.rpartition("/")[2]))

    def restore() -> str:
        empty = server.new_database()
        options = server.options(empty.rpartition("/")[2])
        run("pg_restore", "--no-owner", "--exit-on-error", *options, data=dump)
        return empty

    return restore


@pytest.mark.parametrize("engine", ENGINES)
def test_keys_and_sessions_of_a_backup_are_good_in_the_restored_database(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = new_database(engine, request)
    access_to(url).upgrade()
    with guarded(tmp_path, storage={"url": url}, security={"key_pepper": PEPPER}) as gate:
        key, gone = gate.key("admin"), gate.key()
        gate.keys("revoke", gone.split("_")[1])
        with gate.client(key) as client:
            session = {"Mcp-Session-Id": gate.session(client)}
        if engine == "sqlite":
            restore = copied_file(url, tmp_path)
        else:
            restore = dumped_database(url, request.getfixturevalue("postgres"))
        later = gate.key()
        gate.server.child.process.kill()
    (tmp_path / "root").rmdir()
    with guarded(tmp_path, storage={"url": restore()}, security={"key_pepper": PEPPER}) as gate:
        statuses = [gate.stateless(each, "tools/list").status_code for each in (key, gone, later)]
        assert statuses == [200, 401, 401]
        with gate.client(key) as client:
            assert client.post("/mcp", json=message(2, "tools/list"), headers=session).json()["result"]["tools"]
