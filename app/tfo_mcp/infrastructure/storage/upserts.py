"""Upserts: inserts that update the row that is there already, which both engines have in dialects of their own."""

from collections.abc import Sequence

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table, added: Sequence[str] = ()) -> Executable:
    """Return an insert of a row; if a row has its primary key, `added` columns are added to the ones of that row.

    Args:
        added: the names of numeric columns; without any, the row that is there stays as it is.
    """
    is_postgresql = connection.dialect.name == "postgresql"
    statement = postgresql.insert(table) if is_postgresql else sqlite.insert(table)
    if not added:
        return statement.on_conflict_do_nothing()
    sums = {name: table.c[name] + statement.excluded[name] for name in added}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums)
