"""RenderedLists: a cache of encoded list results, invalidated when a catalog changes.

Rendering a thousand tools takes milliseconds, sending cached bytes microseconds. Callers with the same scopes share an
entry. If all callers see the same list, the result is also marked as cacheable by shared caches.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.call_policy import CallPolicy
from tfo_mcp.application.queries import CatalogVersions, GetCatalogVersions
from tfo_mcp.domain.access import OWNER, Caller
from tfo_mcp.presentation.protocol.call import Call
from tfo_mcp.presentation.protocol.extensions import APPS

_MOST_KEPT = 256

Render = Callable[[Caller, str | None], Awaitable[Mapping[str, Any]]]
"""Renders the page after a cursor, as the caller sees it."""


class RenderedLists:
    """Caches encoded list results by method, revision, cursor, the caller's scopes and whether the client shows apps.

    Args:
        ttl_ms: cache lifetime in milliseconds that is sent to clients.
        policy: names the anonymous caller, if allowed; it sees the least, and its view decides what is shareable.
    """

    def __init__(self, bus: Bus, ttl_ms: int, policy: CallPolicy) -> None:
        self._bus = bus
        self._ttl_ms = ttl_ms
        self._policy = policy
        self._least: Caller | None = None
        self._kept: dict[tuple[str, str, frozenset[str], bool, str | None], bytes] = {}
        self._cursors: set[str | None] = {None}
        self._versions: CatalogVersions | None = None

    async def get(self, call: Call, render: Render) -> bytes:
        """Return the requested page as JSON; `render` produces it on a cache miss."""
        versions = await self._bus.handle(GetCatalogVersions())
        if versions != self._versions or self._least is not self._policy.anonymous:
            self._kept.clear()
            self._cursors = {None}
            self._versions, self._least = versions, self._policy.anonymous
        cursor = call.params.get("cursor")
        key = (call.method, call.revision.version, call.caller.scopes, APPS in call.capabilities.extensions, cursor)
        kept = self._kept.get(key)
        if kept is None:
            page = await render(call.caller, cursor)
            is_everybodys = self._least is not None and await render(self._least, cursor) == await render(OWNER, cursor)
            kept = call.era.finish(call, page, ttl_ms=self._ttl_ms, shared=is_everybodys)
            if cursor in self._cursors and len(self._kept) < _MOST_KEPT:  # clients can invent any number of cursors
                self._kept[key] = kept
                self._cursors.add(page.get("nextCursor"))
        return kept


def listed(entries: Mapping[str, Any], next_cursor: str | None) -> Mapping[str, Any]:
    """Return a list result: the entries, and the next cursor unless this is the last page."""
    return entries if next_cursor is None else {**entries, "nextCursor": next_cursor}
