"""Storage: opens the database that the settings name. Its libraries are imported only if they name one."""

import os
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tfo_mcp.bootstrap.security import state_directory
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.config.storage_section import StorageUrl
from tfo_mcp.infrastructure.identity.private_files import require_private
from tfo_mcp.infrastructure.sandbox.protected_place import is_beneath

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.storage.access import StorageAccess
    from tfo_mcp.infrastructure.storage.database import Database
    from tfo_mcp.infrastructure.storage.schema import SchemaState

_LOCK_SHARE = 0.8  # of the time of one access: waiting for a lock ends first, with a reason
_log = structlog.get_logger("tfo_mcp.storage")


def database_of(settings: Settings, roots: Sequence[RootPath]) -> "Database | None":
    """Return the database with the latest schema, None if state is kept in memory only.

    A file of SQLite is created and migrated. A PostgreSQL database that cannot be reached is returned all the same: it
    may come back, and is checked then. If nothing names a database and the default file cannot be used, state is kept
    in memory, and a warning says why.

    Args:
        roots: the roots in effect.

    Raises:
        ConfigurationError: the database cannot be used.
    """
    url = storage_url(settings)
    if url.kind == "memory":
        return None
    try:
        return _opened(settings, url, roots)
    except ConfigurationError as problem:
        if settings.storage.url is not None:
            raise
        _log.warning("sessions end with this process: set storage.url", reason=problem.problems[0])
        return None


def storage_url(settings: Settings) -> StorageUrl:
    """Return the URL of the database: the named one, or the default for the transport.

    Servers on different ports have different files, so that none closes the sessions of another one.
    """
    if settings.storage.url is not None:
        return settings.storage.url
    is_network = settings.server.transport not in ("stdio", "unix")
    return default_file(settings) if is_network and settings.server.port else StorageUrl()


def default_file(settings: Settings) -> StorageUrl:
    """Return the URL of the default file of a server with a network transport."""
    path = state_directory() / f"tfo-mcp-{settings.server.port}.db"
    return StorageUrl("sqlite", path, shown=f"sqlite://{path}")


def _opened(settings: Settings, url: StorageUrl, roots: Sequence[RootPath]) -> "Database":
    access = storage_access(settings, roots)
    from tfo_mcp.infrastructure.storage.access import AccessError

    try:
        state = _ready_schema(access, migrates=url.kind == "sqlite")
    except AccessError as failure:
        if not failure.is_outage:
            raise storage_error(settings, str(failure)) from None
        _log.error("the database cannot be reached yet", reason=str(failure))
        return access.open(schema_is_known=False)
    if state.problem is not None:
        raise storage_error(settings, state.problem)
    return access.open(schema_is_known=True)


def storage_access(settings: Settings, roots: Sequence[RootPath], *, creates: bool = True) -> "StorageAccess":
    """Return the access to the database.

    Args:
        roots: the roots in effect.
        creates: whether a missing file is created.

    Raises:
        ConfigurationError: the settings name no database, its libraries are missing, or its file cannot be used.
    """
    url, timeout = storage_url(settings), settings.storage.timeout_seconds
    if url.kind == "memory":
        raise ConfigurationError(("storage.url names no database: set it to sqlite:///PATH or to postgresql://...",))
    try:
        from tfo_mcp.infrastructure.storage.access import StorageAccess
        from tfo_mcp.infrastructure.storage.sqlite import SqliteTransactions

        if url.path is None:
            from tfo_mcp.infrastructure.storage.postgres import PostgresTransactions
    except ImportError:
        raise ConfigurationError(("storage.url needs the package's extra: pip install 'tfo-mcp[sql]'",)) from None
    if url.path is None:
        return StorageAccess(partial(PostgresTransactions, url.dsn.get_secret_value(), timeout), timeout)
    _require_outside(roots, settings, url.path)
    if creates or url.path.exists():
        _require_private_file(settings, url.path)
    return StorageAccess(partial(SqliteTransactions, url.path, timeout * _LOCK_SHARE), timeout)


def storage_error(settings: Settings, problem: str) -> ConfigurationError:
    """Return the error that the database of the settings cannot be used."""
    return ConfigurationError((f"storage.url: {storage_url(settings).shown}: {problem}",))


def _ready_schema(access: "StorageAccess", *, migrates: bool) -> "SchemaState":
    state = access.state()
    return access.upgrade() if migrates and state.pending else state


def _require_outside(roots: Sequence[RootPath], settings: Settings, path: Path) -> None:
    """Check that callers cannot reach the file.

    Raises:
        ConfigurationError: it lies beneath a root.
    """
    for root in roots:
        if is_beneath(os.path.realpath(path), os.path.realpath(root.path)):
            raise storage_error(settings, f"it lies beneath the root {root.path} (files.roots): choose another place")


def _require_private_file(settings: Settings, path: Path) -> None:
    """Create the file if it is missing, and check that this process and only its owner may use it.

    It is not opened if it exists: closing it again would release this process's locks on it.

    Raises:
        ConfigurationError: it cannot be created, or others may access it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            status = path.stat()
            require_private(path, status)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is not a file") from None
        if not (os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
            raise ValueError("the user of this process must be able to write it, and files beside it")
    except ValueError as problem:
        raise storage_error(settings, str(problem)) from None
    except OSError as problem:
        raise storage_error(settings, f"it cannot be created: {problem.strerror}") from None
