"""A caller's SELECT: executed in a transaction that only reads, within limits of time, memory, rows and bytes.

The memory of a query is that which the engine counts, without the pages of tables; it is half of the engine's at most,
so that other queries and ingest go on. Row rules cannot be applied soundly, since the order in which the engine
evaluates conditions shows records that a rule excludes; so a caller with row rules is refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import BoundedSemaphore, Event, Thread
from time import monotonic
from typing import Any

import duckdb

from tfo_mcp.application.ports.telemetry_query import Predicate
from tfo_mcp.application.ports.telemetry_store import SelectedRows
from tfo_mcp.infrastructure.telemetry_sql.cells import bounded_rows
from tfo_mcp.infrastructure.telemetry_sql.check import DIALECT, InvalidSelect, checked_select
from tfo_mcp.infrastructure.telemetry_store.tables import LOGS, METRICS, TABLES, TRACES

SECONDS = 10.0
MOST_BYTES = 512 * 1024 * 1024
_LOOK_SECONDS = 0.05
_ROWS_AT_ONCE = 20
_AT_ONCE = BoundedSemaphore(2)
_MEMORY = "SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory() WHERE tag <> 'BASE_TABLE'"
_TABLES = frozenset(table.name for table in TABLES)
_SHORTER = "choose a shorter period, more conditions, or check the conditions of joins"


class SelectRefused(Exception):
    """A SELECT was not answered; the text is for its caller."""


def select(cursor: duckdb.DuckDBPyConnection, rows: Predicate | None, text: str, most_rows: int) -> SelectedRows:
    """Return up to `most_rows` rows of a SELECT.

    Raises:
        SelectRefused: it may not be executed, is not valid, or exceeds a limit.
    """
    if rows is not None:
        raise SelectRefused("SQL is not available to callers with row rules (telemetry.access): use the other tools")
    try:
        query = checked_select(text, _TABLES, most_rows + 1, datetime.now(UTC))
    except InvalidSelect as problem:
        raise SelectRefused(str(problem)) from None
    if not _AT_ONCE.acquire(blocking=False):
        raise SelectRefused("Other SQL is being executed: try again in a few seconds")
    try:
        return _executed(cursor, query.sql(dialect=DIALECT, identify=True, comments=False), most_rows)
    finally:
        _AT_ONCE.release()


def _executed(cursor: duckdb.DuckDBPyConnection, statement: str, most_rows: int) -> SelectedRows:
    if [each.type for each in cursor.extract_statements(statement)] != [duckdb.StatementType.SELECT]:
        raise SelectRefused("Write exactly one SELECT; other statements are not possible")
    reasons: list[str] = []
    try:
        with _limited(cursor, reasons):
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            cursor.execute(statement)
            return _fetched(cursor, most_rows)
    except duckdb.InterruptException:
        if not reasons:
            raise
        raise SelectRefused(reasons[0]) from None
    except duckdb.OutOfMemoryException:
        raise SelectRefused(f"It needs too much memory: {_SHORTER}") from None
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as problem:
        raise SelectRefused(_explained(problem)) from None
    except duckdb.Error:  # the message may quote stored text
        raise SelectRefused(
            "A value cannot be computed: numbers overflow, or a pattern or format is not valid"
        ) from None


@contextmanager
def _limited(cursor: duckdb.DuckDBPyConnection, reasons: list[str]) -> Iterator[None]:
    """Interrupt the block's query at its limits; the reason is then in `reasons`."""
    done, deadline = Event(), monotonic() + SECONDS

    def watch() -> None:
        with cursor.cursor() as looking:
            while not done.wait(_LOOK_SECONDS):
                (used,) = looking.execute(_MEMORY).fetchone() or (0,)
                if monotonic() > deadline:
                    reasons.append(f"It took longer than {SECONDS:g} s: {_SHORTER}")
                elif used > MOST_BYTES:
                    reasons.append(f"It needs more than {MOST_BYTES // 1024**2} MiB of memory: {_SHORTER}")
                if reasons:
                    cursor.interrupt()

    watching = Thread(target=watch, name="telemetry-sql-limits", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def _fetched(cursor: duckdb.DuckDBPyConnection, most_rows: int) -> SelectedRows:
    names = [str(column[0]) for column in cursor.description or ()]
    return bounded_rows(names, _each_row(cursor), most_rows)


def _each_row(cursor: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while batch := cursor.fetchmany(_ROWS_AT_ONCE):
        yield from batch


def _explained(problem: duckdb.Error) -> str:
    """Return the engine's message about a statement; where a column is unknown, with the columns of all its tables."""
    message = str(problem).partition("\n\nLINE")[0].replace("\n", " ")
    if "column" not in message:
        return message
    columns = (f"{table.name}({', '.join(table.columns)})" for table in (TRACES, LOGS, *METRICS[:3]))
    return f"{message}. Columns: {'; '.join(columns)}"
