"""The DuckDB database of the store: its file, its schema, and the only connection that writes.

DuckDB locks the file to one process. What a transaction has committed is in the file or in its write-ahead file.
Queries use cursors of their own in any thread. Must not know OTLP.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from tfo_mcp.application.ports.telemetry_writer import RecordsNotWritten
from tfo_mcp.infrastructure.telemetry_store.tables import SCHEMA_VERSION, TABLES

_CHECKPOINT = "64MB"
_MEMORY = "1GB"
_SPILL = "2GB"
_QUERY_THREADS = 2
_OTHERS = 0o077


class UnusableDatabase(Exception):
    """The database cannot be opened; the text says what to do."""


class TelemetryDatabase:
    """An open database; `close` writes the write-ahead file back.

    Args:
        path: the file; it is created if it does not exist, with the permissions that the process's umask leaves.

    Raises:
        UnusableDatabase: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        require_own_file(path)
        self._rows = os.memfd_create("rows", os.MFD_CLOEXEC)
        self._rows_path = f"/proc/self/fd/{self._rows}"
        try:
            self._connection = duckdb.connect(str(path), config=self._configuration())
            self._connection.execute(f"SET allowed_paths = ['{self._rows_path}']")  # no statement reads another file
            self._connection.execute("SET enable_external_access = false")
            self._connection.execute("SET lock_configuration = true")
            self._create()
        except duckdb.Error as problem:
            os.close(self._rows)
            raise UnusableDatabase(f"{path}: {_first_line(problem)}") from None

    def _configuration(self) -> dict[str, Any]:
        return {
            "threads": _QUERY_THREADS,
            "memory_limit": _MEMORY,
            "checkpoint_threshold": _CHECKPOINT,
            "temp_directory": str(self.path.with_suffix(".tmp")),
            "max_temp_directory_size": _SPILL,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    def _create(self) -> None:
        self._connection.execute("CREATE TABLE IF NOT EXISTS tfo_mcp_schema (version INTEGER)")
        found = self._connection.execute("SELECT max(version) FROM tfo_mcp_schema").fetchone()
        version = None if found is None else found[0]
        if version not in (None, SCHEMA_VERSION):
            raise UnusableDatabase(
                f"{self.path}: it was written by another version of tfo-mcp: run `tfo-mcp telemetry clear`"
            )
        for table in TABLES:
            self._connection.execute(table.creation())
        if version is None:
            self._connection.execute("INSERT INTO tfo_mcp_schema VALUES (?)", [SCHEMA_VERSION])

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own for queries in one thread."""
        return self._connection.cursor()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the block, or undo all of it."""
        self._connection.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def insert(self, lines: Mapping[str, Sequence[bytes]]) -> None:
        """Insert rows, as lines of JSON by table, in one transaction.

        Raises:
            RecordsNotWritten: they are not written.
        """
        try:
            with self.transaction():
                for table in TABLES:
                    if rows := lines.get(table.name):
                        self._write_rows(rows)
                        self._connection.execute(table.insertion(self._rows_path))
        except duckdb.Error as problem:
            raise not_written(problem) from None
        os.ftruncate(self._rows, 0)

    def change(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement in the writing connection, and return its rows."""
        return self._connection.execute(statement, list(parameters)).fetchall()

    def used_bytes(self) -> int:
        """Return the bytes of the file that hold data, and those of its write-ahead file."""
        row = self._connection.execute(
            "SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = current_database()"
        ).fetchone()
        return (0 if row is None else int(row[0])) + _size(self.path.with_name(f"{self.path.name}.wal"))

    def file_bytes(self) -> int:
        """Return the sizes of the file and of its write-ahead file."""
        return _size(self.path) + _size(self.path.with_name(f"{self.path.name}.wal"))

    def lines(self, table: str, after: int, limit: int) -> bytes:
        """Return up to `limit` rows of a table after a row number, as lines of JSON: the row number, a tab, the row."""
        with self.cursor() as cursor:
            found = cursor.execute(
                f"SELECT number, CAST(to_json(row) AS VARCHAR) FROM (SELECT rowid AS number, row FROM {table} AS row "
                f"WHERE rowid > {int(after)} ORDER BY rowid LIMIT {int(limit)})"
            ).fetchall()
        return "".join(f"{number}\t{line}\n" for number, line in found).encode()

    def positions(self) -> dict[str, int]:
        """Return the number of the latest row of each table, -1 of an empty one."""
        latest = ", ".join(f"(SELECT coalesce(max(rowid), -1) FROM {table.name})" for table in TABLES)
        with self.cursor() as cursor:
            found = cursor.execute(f"SELECT {latest}").fetchone()
        return dict(zip((table.name for table in TABLES), found or (), strict=True))

    def clear(self) -> None:
        """Delete all records, and free their space."""
        with self.transaction():
            for table in TABLES:
                self._connection.execute(f"DELETE FROM {table.name}")
        self._connection.execute("CHECKPOINT")

    def close(self) -> None:
        """Write the write-ahead file back, and close the file."""
        self._connection.close()
        os.close(self._rows)

    def _write_rows(self, rows: Iterable[bytes]) -> None:
        os.ftruncate(self._rows, 0)
        waiting = memoryview(b"\n".join(rows))
        offset = 0
        while offset < len(waiting):
            offset += os.pwrite(self._rows, waiting[offset:], offset)


def not_written(problem: duckdb.Error) -> RecordsNotWritten:
    """Return the error for what the database reports; it is final if the database cannot be used any more."""
    return RecordsNotWritten(_first_line(problem), is_final=isinstance(problem, duckdb.FatalException))


def require_own_file(path: Path) -> None:
    """Check that a file, if it exists, is a regular one that only this user can access; create its directory.

    Raises:
        UnusableDatabase: it is not.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_owner(path.parent, path.parent.stat())
        for file in (path, path.with_name(f"{path.name}.wal")):
            try:
                status = file.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(status.st_mode):
                raise UnusableDatabase(f"{file}: it must be a regular file, not a link: remove it")
            _require_owner(file, status)
            if status.st_mode & _OTHERS:
                raise UnusableDatabase(f"{file}: it may be read or written by others: run chmod 600 on it")
    except OSError as problem:
        raise UnusableDatabase(f"{path}: it cannot be used: {problem.strerror}") from None


def _require_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.getuid():
        raise UnusableDatabase(f"{path}: it belongs to another user")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]
