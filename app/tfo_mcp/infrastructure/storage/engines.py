"""Engines: the connections to an SQLite file, and what failures of a database mean.

The driver of PostgreSQL is imported by `postgres` only: most servers have a file, and 3 MiB less.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

CHANGES = "tfo_changes"
"""Execution option of connections that change something."""
_FAILURES = (SQLAlchemyError, OSError, TimeoutError)
_FILE = "tfo_file"  # where a connection notes its file
_SQLITE_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit survives a loss of power
    "PRAGMA foreign_keys = ON",
)

_OUTAGES = ("08", "53", "57P")
"""SQLSTATEs of connections that broke, of a lack of resources, and of a server that starts or stops."""


def sqlite_engine(path: Path, timeout_seconds: float) -> AsyncEngine:
    """Return an engine for a file that exists, with one connection, because SQLite has one writer at a time.

    Args:
        timeout_seconds: how long to wait for a lock of another process.
    """
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"}),
        connect_args={"timeout": timeout_seconds},
        pool_size=1,
        max_overflow=0,
    )
    file = _SqliteFile(path)
    event.listen(engine.sync_engine, "connect", file.connected)
    event.listen(engine.sync_engine, "begin", file.begin)
    return engine


class _SqliteFile:
    """Sets up connections to a file, and notices when it was moved away or replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def connected(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Set up a new connection."""
        record.info[_FILE] = self._identity()
        connection.isolation_level = None  # the driver would begin transactions late, and not before DDL
        cursor = connection.cursor()
        for statement in _SQLITE_SETTINGS:
            cursor.execute(statement)
        cursor.close()

    def begin(self, connection: Connection) -> None:
        """Begin a transaction; one that will write takes the lock at once, since a later upgrade of a lock can fail.

        Raises:
            OSError: the connection is to a file that is not there any more, so that changes would be lost.
        """
        if connection.info[_FILE] != self._identity():
            connection.invalidate()
            raise OSError(errno.ESTALE, "the file was moved away or replaced")
        immediate = connection.get_execution_options().get(CHANGES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that are raised if a database fails or cannot be reached."""
    if (asyncpg := sys.modules.get("asyncpg")) is None:
        return _FAILURES
    return (*_FAILURES, asyncpg.PostgresError, asyncpg.InterfaceError)


def is_outage(problem: BaseException) -> bool:
    """Return whether a database is away for now, or has refused for a reason that only an operator can change."""
    if isinstance(problem, OSError | TimeoutError):
        return True
    return (getattr(problem, "sqlstate", None) or "").startswith(_OUTAGES)
