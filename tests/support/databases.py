"""Databases of the tests: an empty one of each engine, by its URL, as the settings name it."""

from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tfo_mcp.bootstrap import Settings
from tfo_mcp.bootstrap.storage import storage_access
from tfo_mcp.infrastructure.storage.access import StorageAccess

ENGINES = ("sqlite", "postgresql")
PEPPER = "a pepper of these tests, and of no others"


def new_database(engine: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database; PostgreSQL is started only if a test asks for it."""
    if engine == "sqlite":
        place: Path = request.getfixturevalue("tmp_path")
        return f"sqlite://{place}/state/tfo-mcp.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def settings_with(url: str, timeout_seconds: float = 2.0) -> Settings:
    """Return settings that name a database."""
    return Settings.model_validate({"storage": {"url": url, "timeout_seconds": timeout_seconds}})


def access_to(url: str, timeout_seconds: float = 2.0) -> StorageAccess:
    """Return the access to a database."""
    return storage_access(settings_with(url, timeout_seconds), ())
