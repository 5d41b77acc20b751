"""Schema: the revision of the tables, their creation, and the migrations between revisions.

A database without tables gets those of the latest revision at once. Alembic is imported for migrations only: it takes a
third of the start-up time, and 10 MiB. Knows no engine and no deadline.
"""

from pathlib import Path
from typing import Literal

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, func, insert, inspect, select

from tfo_mcp.infrastructure.storage.tables import key_changes, metadata
from tfo_mcp.value_objects import value_object

_DIRECTORY = Path(__file__).with_name("migrations")
_version = Table(  # as Alembic creates it
    "tfo_schema_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="tfo_schema_version_pkc"),
)
REVISIONS = ("1", "2", "3", "4", "5")
"""The revisions that this version knows, oldest first: those of the scripts."""
_LOCK = 7_236_502_911  # any number; the same in each version of this program


@value_object
class SchemaState:
    """The revision of the database, None without tables, and the revisions that this version knows, oldest first."""

    revision: str | None
    known: tuple[str, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """The revisions that are missing in the database; empty for a database of a newer version."""
        if self.revision is None:
            return self.known
        return () if self.is_newer else self.known[self.known.index(self.revision) + 1 :]

    @property
    def is_newer(self) -> bool:
        """Whether a newer version of this program has changed the tables."""
        return self.revision is not None and self.revision not in self.known

    @property
    def problem(self) -> str | None:
        """Why this version cannot use the tables, and what to do; None if it can."""
        if self.is_newer:
            return (
                f"the tables have the revision {self.revision} of a newer version of tfo-mcp, and this one knows up "
                f"to {self.known[-1]}: install the newer version"
            )
        if self.pending:
            return f"the tables lack the revisions {', '.join(self.pending)}: run `tfo-mcp migrate up`"
        return None


def state_of(connection: Connection) -> SchemaState:
    """Return the state of the schema."""
    if not inspect(connection).has_table(_version.name):
        return SchemaState(None, REVISIONS)
    return SchemaState(connection.execute(select(_version)).scalar(), REVISIONS)


def upgrade(connection: Connection) -> SchemaState:
    """Create the tables, or migrate to the latest revision, in the caller's transaction, and return the new state.

    A database of a newer version is left as it is.
    """
    _lock(connection)
    state = state_of(connection)
    if state.revision is None:
        _create(connection)
    elif state.pending:
        _migrate("upgrade", connection, "head")
    return state_of(connection)


def downgrade(connection: Connection) -> SchemaState:
    """Undo the latest revision, with all data of its tables, in the caller's transaction; return the new state."""
    _lock(connection)
    before = state_of(connection)
    if before.revision is not None and not before.is_newer:
        _migrate("downgrade", connection, "-1")
    return state_of(connection)


def _lock(connection: Connection) -> None:
    """Let only one process migrate a PostgreSQL database at a time; a transaction of SQLite has the lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def _create(connection: Connection) -> None:
    """Create the tables as all migrations together do, with the revision that Alembic looks for."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(key_changes).values(last=0))
    _version.create(connection, checkfirst=True)  # is there, and empty, after every revision was undone
    connection.execute(insert(_version).values(version_num=REVISIONS[-1]))


def _migrate(direction: Literal["upgrade", "downgrade"], connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    configuration = Config(attributes={"connection": connection, "version_table": _version.name})
    configuration.set_main_option("script_location", str(_DIRECTORY).replace("%", "%%"))
    run = command.upgrade if direction == "upgrade" else command.downgrade
    run(configuration, revision)
