"""Audit entries in a database besides the file, and the retention of what is stored."""

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import func, insert, select

from tests.support.databases import ENGINES, PEPPER, access_to, new_database
from tests.support.deadlines import PATIENCE, eventually, wait_until
from tests.support.guarded import guarded
from tfo_mcp.application.ports import AuditEntry
from tfo_mcp.infrastructure.identity.audit_file import NoAudit, members_of
from tfo_mcp.infrastructure.storage.audit import SqlAudit
from tfo_mcp.infrastructure.storage.database import Database
from tfo_mcp.infrastructure.storage.maintenance import Maintenance, Periodic
from tfo_mcp.infrastructure.storage.retention import KeptDays, StorageRetention
from tfo_mcp.infrastructure.storage.tables import api_keys, audit, outbox, quotas, usage

pytestmark = pytest.mark.anyio
DAY = 86_400.0
NOW = 1000 * DAY


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ENGINES)
async def databases(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[tuple[Database, Database]]:
    """Yield a database with empty tables as two processes have it."""
    access = access_to(new_database(request.param, request), PATIENCE)
    access.upgrade()
    here, there = (access.open(schema_is_known=True) for _ in range(2))
    yield here, there
    await here.aclose()
    await there.aclose()


async def rows(database: Database) -> list[Mapping[str, Any]]:
    """Return the stored audit entries in order."""
    ordered = select(audit).order_by(audit.c.position)
    found = await database.read(lambda connection: connection.execute(ordered))
    return [dict(row) for row in found.mappings()]


def entry(number: int) -> AuditEntry:
    """Return an entry."""
    return AuditEntry("tool_call", "allowed", f"key:{number}", "key", "http", name="echo é", arguments=("text",))


class TestSink:
    async def test_entries_are_stored_whole_in_order_and_what_was_dropped_is_counted(
        self, databases: tuple[Database, Database]
    ) -> None:
        sink = SqlAudit(NoAudit(), databases[0], members_of, 3, clock=lambda: 5.0)
        assert all(sink.write(entry(number)) for number in range(5))
        assert (sink.waiting, sink.dropped) == (3, 2)
        await sink.flush()
        await sink.flush()
        found = await rows(databases[1])
        assert [row["caller"] for row in found] == ["key:0", "key:1", "key:2", ""]
        assert (found[0]["time"], found[0]["event"], found[0]["decision"]) == (5.0, "tool_call", "allowed")
        assert found[0]["details"] == {"method": "key", "transport": "http", "name": "echo é", "arguments": ["text"]}
        assert found[3]["details"]["lost"] == 2

    async def test_entries_of_an_outage_are_stored_afterwards(self, tmp_path: Path) -> None:
        access = access_to(f"sqlite://{tmp_path}/tfo.db", 2.0)
        access.upgrade()
        database = access.open(schema_is_known=True)
        maintenance = Maintenance(database)
        sink = SqlAudit(NoAudit(), database, members_of)
        maintenance.add(Periodic(0.05, sink.flush, at_end=True))
        lock = sqlite3.connect(tmp_path / "tfo.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(maintenance.run)
            sink.write(entry(1))
            await eventually(lambda: not database.works(), "the outage is noticed")
            assert sink.waiting == 1
            lock.execute("ROLLBACK")
            lock.close()
            await eventually(lambda: sink.waiting == 0, "it is stored")
            tasks.cancel_scope.cancel()
        sink.write(entry(2))
        assert [row["caller"] for row in await rows(database)] == ["key:1"]
        await maintenance.aclose()
        connection = sqlite3.connect(tmp_path / "tfo.db")
        assert connection.execute("SELECT count(*) FROM tfo_audit").fetchone() == (2,)
        connection.close()

    def test_a_server_and_the_command_line_store_what_they_write_to_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "state" / "tfo.db"
        storage = {"url": f"sqlite://{file}", "timeout_seconds": PATIENCE}
        with guarded(tmp_path, storage=storage, security={"key_pepper": PEPPER, "audit_database": True}) as gate:
            key = gate.key("admin")
            assert gate.stateless(key, "tools/list").status_code == 200
            assert gate.stateless("wrong", "tools/list").status_code == 401

            def stored() -> set[tuple[str, str]]:
                connection = sqlite3.connect(file)
                found = connection.execute("SELECT event, decision FROM tfo_audit").fetchall()
                connection.close()
                return set(found)

            expected = {("key_created", "allowed"), ("authentication", "allowed"), ("authentication", "refused")}
            wait_until(lambda: stored() >= expected, "the entries are stored")
            assert {(line["event"], line["decision"]) for line in gate.audit()} == stored()
            assert key not in file.read_bytes().decode("latin-1")


class TestUsage:
    def test_the_command_line_shows_the_calls_of_each_principal(self, tmp_path: Path) -> None:
        storage = {"url": f"sqlite://{tmp_path}/state/tfo.db", "timeout_seconds": PATIENCE}
        with guarded(tmp_path, storage=storage) as gate:
            key = gate.key("admin")
            for _ in range(3):
                params = {"name": "echo", "arguments": {"text": "hello"}}
                assert gate.stateless(key, "tools/call", params).status_code == 200

            def shown() -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = json.loads(gate.run("usage", "--json"))
                return found

            (used,) = wait_until(shown, "the usage is written")
            assert (used["calls"], used["tokens"]) == (3, 0)
            assert used["principal"].startswith("key:")
            assert used["principal"] in gate.run("usage", "--days", "1")


async def counts(database: Database) -> list[int]:
    """Return the numbers of rows of the tables with a retention."""
    found = []
    for table in (audit, usage, api_keys, outbox, quotas):
        (row,) = await database.rows(select(func.count().label("number")).select_from(table))
        found.append(row["number"])
    return found


async def filled(database: Database, days: int) -> None:
    """Add rows of `days` ago, one to each table."""
    then = NOW - days * DAY
    key = {"name": "a", "principal": "a", "digest": "d", "scopes": [], "created": 0.0, "version": 1, "change": 1}
    event: dict[str, Any] = {
        "id": f"e{days}",
        "type": "T",
        "aggregate": "tool",
        "subject": "",
        "data": {},
        "traceparent": None,
    }
    added = [
        insert(audit).values(time=then, event="e", decision="allowed", caller="c", details={}),
        insert(usage).values(principal="p", day=date(1970, 1, 1) + timedelta(1000 - days), calls=1, tokens=1),
        insert(api_keys).values(id=f"r{days}", revoked=then, **key),
        insert(outbox).values(time=then, **event),
        insert(quotas).values(name=f"q{days}", full_at=then),
    ]
    for statement in added:
        await database.execute(statement)


class TestRetention:
    async def test_rows_older_than_their_setting_are_deleted_by_one_process_in_a_period(
        self, databases: tuple[Database, Database]
    ) -> None:
        here, there = databases
        for days in (0, 10, 20, 30):
            await filled(here, days)
        kept = KeptDays(audit=5, usage=15, ended_keys=25, outbox=0)
        deleted = [0, 0]

        async def run(number: int) -> None:
            deleted[number] = await StorageRetention(databases[number], kept, clock=lambda: NOW).run()

        async with anyio.create_task_group() as tasks:
            for number in range(2):
                tasks.start_soon(run, number)
        assert sorted(deleted) == [0, 3 + 2 + 1 + 0 + 3]
        assert await counts(there) == [1, 2, 3, 4, 1]
        assert await StorageRetention(here, kept, clock=lambda: NOW).run() == 0

    async def test_many_rows_are_deleted_in_parts(self, databases: tuple[Database, Database]) -> None:
        old = [{"time": 0.0, "event": "e", "decision": "allowed", "caller": "c", "details": {}}] * 2500
        await databases[0].write(lambda connection: connection.execute(insert(audit), old))
        assert await StorageRetention(databases[0], KeptDays(1, 0, 0, 0), clock=lambda: NOW).run() == 2500
