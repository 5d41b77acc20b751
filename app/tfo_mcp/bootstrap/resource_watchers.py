"""Routes watches of resources: the errors of the telemetry store to its watch, all others to the watched files."""

from collections.abc import Callable

from tfo_mcp.bootstrap.telemetry_store import StoredTelemetry
from tfo_mcp.domain.access import OWNER
from tfo_mcp.infrastructure.files import WatchedFiles
from tfo_mcp.infrastructure.telemetry_store.error_watch import ERRORS_URI, ErrorWatch


class ResourceWatchers:
    """The FileWatcher port of all resources that can change."""

    def __init__(self, stored: StoredTelemetry | None, files: WatchedFiles) -> None:
        self._files = files
        self._errors = None if stored is None else ErrorWatch(stored.of(OWNER), stored.look_seconds)

    async def watch(self, uri: str, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change` with the new version at every change; return a function that stops watching.

        Raises:
            OperationFailed: no more files can be watched.
        """
        if uri == ERRORS_URI and self._errors is not None:
            return await self._errors.watch(on_change)
        return await self._files.watch(uri, on_change)

    async def aclose(self) -> None:
        """Stop watching."""
        await self._files.aclose()
        if self._errors is not None:
            await self._errors.aclose()
