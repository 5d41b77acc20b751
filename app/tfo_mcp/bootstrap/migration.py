"""Migration of the database's tables for the command line."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfo_mcp.bootstrap.storage import storage_access, storage_error, storage_url
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.value_objects import value_object

if TYPE_CHECKING:
    from tfo_mcp.infrastructure.storage.schema import SchemaState


@value_object
class TableRevision:
    """The revision of a database's tables.

    `database` is its URL without the password, `revision` None without tables, and `problem` what has to be done, None
    if the tables are up to date.
    """

    database: str
    revision: str | None
    problem: str | None


class Migration:
    """Shows and changes the revision of the tables.

    Raises:
        ConfigurationError: from each method, and if the settings name no database: the database cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._access = storage_access(settings, settings.files.roots or ())

    def status(self) -> TableRevision:
        """Return the revision of the tables."""
        return self._run(self._access.state)

    def up(self) -> TableRevision:
        """Migrate to the latest revision, and return it."""
        return self._run(self._access.upgrade)

    def down(self) -> TableRevision:
        """Undo the latest revision, with the data of its tables, and return the revision after that."""
        return self._run(self._access.downgrade)

    def _run(self, work: "Callable[[], SchemaState]") -> TableRevision:
        from tfo_mcp.infrastructure.storage.access import AccessError

        try:
            state = work()
        except AccessError as failure:
            raise storage_error(self._settings, str(failure)) from None
        return TableRevision(storage_url(self._settings).shown, state.revision, state.problem)
