"""What one caller may ask a database: its sources, the caller's row filter, and the connection."""

from tfo_mcp.application.ports.telemetry_query import Predicate, Signal
from tfo_mcp.infrastructure.clickhouse.connection import Answer, ClickHouseConnection, Rows
from tfo_mcp.infrastructure.clickhouse.schema import Schema
from tfo_mcp.infrastructure.clickhouse.selections import Records
from tfo_mcp.infrastructure.clickhouse.sql import SqlPart


class View:
    """Gives queries the records that a caller may read.

    Args:
        connection: runs the statements.
        schema: of the database.
        rows: the row filter of the caller; None without one.
    """

    def __init__(self, connection: ClickHouseConnection, schema: Schema, rows: Predicate | None) -> None:
        self.schema = schema
        self._connection = connection
        self._rows = rows

    @property
    def is_restricted(self) -> bool:
        """Whether the caller may read some records only."""
        return self._rows is not None

    @property
    def minutes(self) -> str | None:
        """The table of the requests of each minute; None if there is none, or if the caller may not read all rows."""
        return self.schema.minutes if self._rows is None else None

    def records(self, signal: Signal) -> Records:
        """Return the visible records of a signal."""
        return Records(signal, self.schema.sources[signal], self._rows)

    async def ask(self, statement: SqlPart) -> Rows:
        """Execute a statement, and return its rows."""
        return (await self._connection.answer(statement)).rows

    async def answer(self, statement: SqlPart) -> Answer:
        """Execute a statement, and return its rows with the names of their columns."""
        return await self._connection.answer(statement)
