"""RenderedLists: list results kept as bytes until the catalogs change.

Rendering a thousand tools takes milliseconds, sending kept bytes microseconds. Callers with the same view share a
rendering.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.application.bus import Bus
from app.application.queries import CatalogVersions, GetCatalogVersions
from app.presentation.protocol.call import Call

_MOST_KEPT = 256


class RenderedLists:
    """Keeps the latest renderings, by method, revision, cursor and what the caller may see."""

    def __init__(self, bus: Bus, ttl_ms: int) -> None:
        self._bus = bus
        self._ttl_ms = ttl_ms
        self._kept: dict[tuple[str, str, str, str | None], bytes] = {}
        self._versions: CatalogVersions | None = None

    async def get(self, call: Call, render: Callable[[str | None], Awaitable[Mapping[str, Any]]]) -> bytes:
        """Return the page that the call asks for; `render` makes it from the cursor when it is not kept."""
        versions = await self._bus.handle(GetCatalogVersions())
        if versions != self._versions:
            self._kept.clear()
            self._versions = versions
        cursor = call.params.get("cursor")
        key = (call.method, call.revision.version, call.caller.tools, cursor)
        kept = self._kept.get(key)
        if kept is None:
            kept = call.era.finish(call, await render(cursor), ttl_ms=self._ttl_ms, shared=True)
            if len(self._kept) < _MOST_KEPT:
                self._kept[key] = kept
        return kept


def listed(entries: Mapping[str, Any], next_cursor: str | None) -> Mapping[str, Any]:
    """Return the result of a list: the entries, and the cursor where more follow."""
    return entries if next_cursor is None else {**entries, "nextCursor": next_cursor}
