"""Migration of the database's tables for the command line, with plain values as results."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfo_mcp.bootstrap.storage import storage_access, storage_error, storage_url
from tfo_mcp.infrastructure.config import Settings

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.storage.schema import SchemaState


class Migration:
    """Shows and changes the revision of the tables.

    Raises:
        ConfigurationError: from each method, and if the settings name no database: the database cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._access = storage_access(settings, settings.files.roots or ())

    def status(self) -> str:
        """Return a sentence about the revision of the tables."""
        return self._said(self._run(self._access.state))

    def up(self) -> str:
        """Migrate to the latest revision, and return a sentence about the result."""
        return self._said(self._run(self._access.upgrade))

    def down(self) -> str:
        """Undo the latest revision, with the data of its tables, and return a sentence about the result."""
        return self._said(self._run(self._access.downgrade))

    def _run(self, work: "Callable[[], SchemaState]") -> "SchemaState":
        from tfo_mcp.infrastructure.storage.access import AccessError

        try:
            return work()
        except AccessError as failure:
            raise storage_error(self._settings, str(failure)) from None

    def _said(self, state: "SchemaState") -> str:
        revision = "no tables" if state.revision is None else f"revision {state.revision}"
        return f"{storage_url(self._settings).shown}: {revision}; {state.problem or 'up to date'}"
