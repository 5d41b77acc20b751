"""ResultCache: results of tools that opt in, kept for a while; concurrent equal calls run the tool once.

Owns the key, by which callers share a result: only callers with the same scopes do. A cached tool takes no context, so
it cannot know its caller. Without the cache the tool runs, as if it were not cached. See docs/adr/0030.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from secrets import token_hex
from typing import Any

import anyio

from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import Cache
from tfo_mcp.application.result_codec import decode, encode
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.tool import Tool, ToolResult

_CLAIM_SECONDS = 5.0  # after which a call does not wait for an equal one any more
_LOOK_SECONDS = 0.02
_SETTLE_SECONDS = 1.0


class ResultCache:
    """Runs cached tools.

    Args:
        scope: names what results depend on besides tool and arguments: version and roots of the server.
    """

    def __init__(self, cache: Cache, scope: str) -> None:
        self._cache = cache
        self._scope = scope

    async def run(self, tool: Tool, arguments: Mapping[str, Any], context: RequestContext) -> ToolResult:
        """Return the cached result of a call, or run the tool; errors are not cached."""
        key, token = self._key(tool, arguments, context), token_hex(8)
        try:
            kept, is_maker = await self._look_up(key, token)
        except StateUnavailable:
            return await tool.run(arguments, context)
        result = None if kept is None else decode(kept)
        if result is not None:
            return result
        if not is_maker:
            return await tool.run(arguments, context)
        return await self._make(key, token, tool, arguments, context)

    async def _look_up(self, key: str, token: str) -> tuple[bytes | None, bool]:
        """Return the kept result, waiting for a call that makes it; otherwise, whether this call is to make it."""
        with anyio.move_on_after(_CLAIM_SECONDS):
            value, first = await self._cache.look_up(key, token, _CLAIM_SECONDS)
            maker = first
            while value is None and maker == first != token:  # another maker: the first one has failed
                await anyio.sleep(_LOOK_SECONDS)
                value, maker = await self._cache.look_up(key, token, _CLAIM_SECONDS)
            return value, maker == token
        return None, False

    async def _make(
        self, key: str, token: str, tool: Tool, arguments: Mapping[str, Any], context: RequestContext
    ) -> ToolResult:
        kept: bytes | None = None
        try:
            result = await tool.run(arguments, context)
            kept = None if result.is_error else encode(result)
            return result
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_SETTLE_SECONDS), suppress(StateUnavailable):
                await self._cache.settle(key, token, kept, tool.cache_seconds or 0.0)

    def _key(self, tool: Tool, arguments: Mapping[str, Any], context: RequestContext) -> str:
        """Return a digest of all that the result depends on; the order of members does not matter."""
        definition = [tool.name, tool.input_schema, tool.output_schema, tool.cache_seconds]
        whole = [self._scope, definition, sorted(context.caller.scopes), arguments]
        return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode("ascii")).hexdigest()
