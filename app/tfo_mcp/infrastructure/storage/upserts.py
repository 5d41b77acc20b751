"""Upserts: inserts that update the row that is there already, which both engines have in dialects of their own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Executable, Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table, added: Sequence[str] = ()) -> Executable:
    """Return an insert of a row; if a row has its primary key, `added` columns are added to the ones of that row.

    Args:
        added: the names of numeric columns; without any, the row that is there stays as it is.
    """
    statement = _insert_of(connection, table)
    if not added:
        return statement.on_conflict_do_nothing()
    sums = {name: table.c[name] + statement.excluded[name] for name in added}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums)


def _insert_of(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return the insert of an engine's dialect; only that one is imported, since it takes a part of the start."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
