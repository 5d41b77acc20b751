"""Changes of an SQLite file that wait at the same time share a transaction, and none of them depends on the others."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.support.databases import access_to, new_database
from tests.support.deadlines import PATIENCE
from tfo_mcp.domain.errors import StorageUnavailable
from tfo_mcp.infrastructure.storage.access import StorageAccess
from tfo_mcp.infrastructure.storage.database import Database

pytestmark = pytest.mark.anyio
WAITING = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def access(request: pytest.FixtureRequest) -> StorageAccess:
    access = access_to(new_database("sqlite", request))
    access.upgrade()
    return access


@pytest.fixture
async def database(access: StorageAccess) -> AsyncIterator[Database]:
    database = access.open(schema_is_known=True)
    yield database
    await database.aclose()


@pytest.fixture
async def path(database: Database) -> Path:
    (main,) = await database.rows(text("SELECT file FROM pragma_database_list"))
    return Path(main["file"])


@pytest.fixture
def blocker(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that holds the file's lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def quota(connection: Connection, number: int) -> Connection:
    """Add a row; return the connection, which is another one in each transaction."""
    connection.execute(text(f"INSERT INTO tfo_quotas (name, full_at) VALUES ('n{number}', 0)"))
    return connection


async def names(database: Database) -> list[str]:
    """Return the names of the rows."""
    return [row["name"] for row in await database.rows(text("SELECT name FROM tfo_quotas ORDER BY full_at, rowid"))]


def adding(database: Database, number: int) -> "asyncio.Task[Connection]":
    """Add a row in a task of its own."""
    return asyncio.create_task(database.write(lambda connection: quota(connection, number)))


async def test_changes_that_wait_share_one_transaction(database: Database, blocker: sqlite3.Connection) -> None:
    first = adding(database, 0)
    await asyncio.sleep(0)
    waiting = [adding(database, number) for number in range(1, WAITING + 1)]
    await asyncio.sleep(0)
    blocker.execute("COMMIT")
    used = {id(connection) for connection in await asyncio.gather(first, *waiting)}
    assert len(used) <= 2
    assert await names(database) == [f"n{number}" for number in range(WAITING + 1)]


async def test_a_change_that_fails_leaves_the_others_of_its_transaction(
    database: Database, blocker: sqlite3.Connection
) -> None:
    def failing(connection: Connection) -> None:
        quota(connection, 99)
        raise LookupError

    before = [adding(database, number) for number in range(3)]
    broken = asyncio.create_task(database.write(failing))
    twice = adding(database, 1)
    after = [adding(database, number) for number in range(3, 6)]
    await asyncio.sleep(0)
    blocker.execute("COMMIT")
    await asyncio.gather(*before, *after)
    with pytest.raises(LookupError):
        await broken
    with pytest.raises(Exception, match="UNIQUE"):
        await twice
    assert sorted(await names(database)) == [f"n{number}" for number in range(6)]
    assert database.works()


async def test_a_change_whose_caller_has_left_while_it_waited_is_not_made(
    database: Database, blocker: sqlite3.Connection
) -> None:
    first = adding(database, 0)
    await asyncio.sleep(0)
    left, stays = adding(database, 1), adding(database, 2)
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    blocker.execute("COMMIT")
    await asyncio.gather(first, stays)
    assert await names(database) == ["n0", "n2"]


async def test_reads_are_answered_while_another_process_holds_the_lock(
    database: Database, blocker: sqlite3.Connection
) -> None:
    assert await names(database) == []
    change = adding(database, 0)
    blocker.execute("COMMIT")
    await change
    assert await names(database) == ["n0"]


async def test_closing_waits_for_the_changes_before_it(access: StorageAccess) -> None:
    database = access.open(schema_is_known=True)
    changes = [adding(database, number) for number in range(WAITING)]
    await asyncio.sleep(0)
    await database.aclose()
    await asyncio.wait_for(asyncio.gather(*changes), PATIENCE)
    again = access.open(schema_is_known=True)
    assert len(await names(again)) == WAITING
    await again.aclose()


async def test_all_waiting_changes_fail_with_the_reason_when_the_file_is_away(database: Database, path: Path) -> None:
    await names(database)
    away = path.rename(path.with_suffix(".away"))
    results = await asyncio.gather(*(adding(database, number) for number in range(5)), return_exceptions=True)
    away.rename(path)
    assert all(isinstance(result, StorageUnavailable) for result in results)
    assert not database.works()
