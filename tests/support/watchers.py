"""A watcher of files that sees what a test tells it: an implementation of the port without files."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from tfo_mcp.domain.errors import OperationFailed


@dataclass
class ToldWatcher:
    """Keeps what is watched; at most `most` at once, each from when `begins` is set, if it is there."""

    most: int = 100
    begins: anyio.Event | None = None
    watched: list[tuple[str, Callable[[], None]]] = field(default_factory=list)

    async def watch(self, uri: str, on_change: Callable[[], None]) -> Callable[[], None]:
        """Begin to watch."""
        if len(self.watched) == self.most:
            raise OperationFailed("too many")
        if self.begins is not None:
            await self.begins.wait()
        entry = (uri, on_change)
        self.watched.append(entry)
        return lambda: self.watched.remove(entry)

    @property
    def uris(self) -> list[str]:
        """What is watched, sorted."""
        return sorted(uri for uri, _ in self.watched)

    def change(self, uri: str) -> None:
        """Say that something has changed."""
        for watched, on_change in list(self.watched):
            if watched == uri:
                on_change()
