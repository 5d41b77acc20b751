"""Writes telemetry to a ClickHouse: creates the tables, and inserts batches of rows so that a repeated one counts once.

Only tables that it has created are changed. Used by one thread. Knows clickhouse-connect; must not know OTLP.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from time import sleep
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from tfo_mcp.application.ports.telemetry_writer import RecordsNotWritten
from tfo_mcp.infrastructure.clickhouse.connection import ClickHouseAddress, new_client
from tfo_mcp.infrastructure.clickhouse.schema import TRACE_TIMES
from tfo_mcp.infrastructure.clickhouse.sql import quoted
from tfo_mcp.infrastructure.clickhouse.tables import COMMENT, ROLLUP, WrittenTable, new_age, rollup_creation

_SECONDS = 30
_PAUSES = (0.5, 2.0)  # before an insert is repeated
_OF_TELEMETRYFLOW = ("traces", "logs")
_BUSY = frozenset({159, 202, 209, 210, 241, 242, 252, 999})
"""ClickHouse's codes of timeouts, too many queries or parts, little memory, tables that are read-only, and networks."""
_SETTINGS: Mapping[str, Any] = {
    "async_insert": 0,
    "input_format_skip_unknown_fields": 1,  # tables of another version of the exporter may lack columns
    "throw_on_max_partitions_per_insert_block": 0,  # times are those of senders
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}


class ClickHouseWriter:
    """Inserts rows into the tables of a database.

    Args:
        address: of the server.
        tables: the tables, created at the first insert if they do not exist.
        max_age_seconds: the age at which ClickHouse deletes records of the tables that this server has created.
    """

    def __init__(self, address: ClickHouseAddress, tables: Sequence[WrittenTable], max_age_seconds: float) -> None:
        self._address = address
        self._tables = tables
        self._max_age_seconds = max_age_seconds
        self._client: Client | None = None
        self._filled_by_others: frozenset[str] = frozenset()

    def insert(self, lines: Mapping[str, Sequence[bytes]]) -> None:
        """Insert rows, as lines of JSON by table. After a failure of the connection the insert is repeated.

        Raises:
            RecordsNotWritten: ClickHouse cannot be reached, or refuses them.
        """
        pauses = list(_PAUSES)
        while True:
            try:
                self._insert(lines)
                return
            except (ClickHouseError, OSError) as problem:
                self.close()
                if (refusal := _refusal(problem)) is not None:
                    raise refusal from None
                if not pauses:
                    reason = f"ClickHouse cannot be reached ({type(problem).__name__})"
                    raise RecordsNotWritten(reason, is_outage=True) from None
                sleep(pauses.pop(0))

    def _insert(self, lines: Mapping[str, Sequence[bytes]]) -> None:
        client = self._connected()
        for table in self._tables:
            rows = lines.get(table.name)
            if not rows or table.name in self._filled_by_others:
                continue
            block = b"\n".join(rows)
            token = {"insert_deduplication_token": sha256(block).hexdigest()}
            client.raw_insert(
                f"{quoted(self._address.database)}.{quoted(table.name)}",
                insert_block=block,
                settings={**_SETTINGS, **token},
                fmt="JSONEachRow",
            )

    def _connected(self) -> Client:
        if self._client is None:
            client = new_client(self._address, _SECONDS)
            try:
                self._prepare(client)
            except BaseException:
                client.close()
                raise
            self._client = client
        return self._client

    def close(self) -> None:
        """Close the connection; the next insert connects again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _prepare(self, client: Client) -> None:
        """Create the tables that do not exist, and set the age of records in those of this server."""
        database = self._address.database
        found = client.query(
            "SELECT name, comment, create_table_query FROM system.tables WHERE database = {name:String}",
            {"name": database},
        ).result_rows
        tables = {str(name): (str(comment), str(statement)) for name, comment, statement in found}
        if "otel_traces" not in tables and any(name in tables for name in _OF_TELEMETRYFLOW):
            raise RecordsNotWritten(
                f"the database {database} has tables of TelemetryFlow, which other programs fill: name another one in "
                "telemetry.store, or set telemetry.store_writes to false",
                is_outage=True,
            )
        for table in self._tables:
            if table.name not in tables:
                client.command(table.creation(database, self._max_age_seconds))
            elif self._is_changed(tables[table.name]):
                client.command(new_age(database, table.name, table.time, self._max_age_seconds))
        if "otel_traces" not in tables or tables["otel_traces"][0] == COMMENT:
            for statement in rollup_creation(database, self._max_age_seconds):
                client.command(statement)
            if ROLLUP in tables and self._is_changed(tables[ROLLUP]):
                client.command(new_age(database, ROLLUP, "Minute", self._max_age_seconds))
        has_view = TRACE_TIMES in tables and tables[TRACE_TIMES][0] != COMMENT  # the exporter's view fills its table
        self._filled_by_others = frozenset({TRACE_TIMES} if has_view else ())

    def _is_changed(self, table: tuple[str, str]) -> bool:
        """Return whether a table of this server has another age of records."""
        comment, statement = table
        return comment == COMMENT and f"toIntervalSecond({int(self._max_age_seconds)})" not in statement


def _refusal(problem: Exception) -> RecordsNotWritten | None:
    """Return the error for what the server answers; None if there is no answer, so that a repetition may help."""
    if not isinstance(problem, Error) or problem.code is None:
        return None
    name = "" if problem.name is None else f" {problem.name}"
    reason = f"ClickHouse refuses the records (error {problem.code}{name})"
    return RecordsNotWritten(reason, is_outage=problem.code in _BUSY)
