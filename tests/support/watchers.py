"""A fake watcher of resources: the test reports the changes, without files."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from tfo_mcp.domain.errors import OperationFailed


@dataclass
class ToldWatcher:
    """Keeps the watched URIs, at most `most` at once; `watch` waits for `begins` if it is given."""

    most: int = 100
    begins: anyio.Event | None = None
    watched: list[tuple[str, Callable[[str], None]]] = field(default_factory=list)

    async def watch(self, uri: str, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Watch a URI and return the function that stops watching it."""
        if len(self.watched) == self.most:
            raise OperationFailed("too many")
        if self.begins is not None:
            await self.begins.wait()
        entry = (uri, on_change)
        self.watched.append(entry)
        return lambda: self.watched.remove(entry)

    @property
    def uris(self) -> list[str]:
        """The watched URIs, sorted."""
        return sorted(uri for uri, _ in self.watched)

    def change(self, uri: str) -> None:
        """Report a change of a URI to its watchers."""
        for watched, on_change in list(self.watched):
            if watched == uri:
                on_change("a version")
