"""The tables that are created, and those of the migrations, are those that the statements use, on both engines."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from tests.support.databases import ENGINES, access_to, new_database
from tfo_mcp.infrastructure.storage import schema
from tfo_mcp.infrastructure.storage.access import StorageAccess
from tfo_mcp.infrastructure.storage.tables import metadata

pytestmark = pytest.mark.anyio
VERSION_TABLE = "tfo_schema_version"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def differences(connection: Connection) -> list[object]:
    """Return what differs between the tables and the statements' description of them."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
    return list(compare_metadata(context, metadata))


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).with_name("migrations"))).walk_revisions()
    assert [script.revision for script in scripts][::-1] == list(schema.REVISIONS)


def shape(connection: Connection) -> dict[str, object]:
    """Return the columns, keys and indexes of each table, and the rows of those that begin with some."""
    seen = inspect(connection)
    tables: dict[str, object] = {
        name: (
            [{**column, "type": str(column["type"])} for column in seen.get_columns(name)],
            seen.get_pk_constraint(name),
            seen.get_indexes(name),
        )
        for name in sorted(seen.get_table_names())
    }
    rows = {name: connection.execute(text(f"SELECT * FROM {name}")).all() for name in tables}
    return {"tables": tables, "rows": {name: found for name, found in rows.items() if found}}


async def shape_of(access: StorageAccess) -> dict[str, object]:
    """Return the shape of a database."""
    database = access.open(schema_is_known=True)
    found = await database.read(shape)
    await database.aclose()
    return found


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_new_database_is_what_all_migrations_together_make(engine: str, request: pytest.FixtureRequest) -> None:
    access = access_to(new_database(engine, request))
    access.upgrade()
    created = await shape_of(access)
    while (state := access.downgrade()).revision != state.known[0]:
        pass
    assert access.upgrade().pending == ()
    migrated = await shape_of(access)
    assert migrated == created
    while access.downgrade().revision is not None:
        pass
    access.upgrade()
    assert await shape_of(access) == created


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_tables_are_those_of_the_statements(engine: str, request: pytest.FixtureRequest) -> None:
    access = access_to(new_database(engine, request))
    states = [access.upgrade()]
    database = access.open(schema_is_known=False)
    assert await database.read(differences) == []
    while states[-1].revision is not None:
        states.append(access.downgrade())
    assert [state.revision for state in states] == [*reversed(states[0].known), None]
    await database.aclose()
    database = access.open(schema_is_known=True)
    names = await database.read(lambda connection: inspect(connection).get_table_names())
    assert names == [VERSION_TABLE]
    await database.aclose()
