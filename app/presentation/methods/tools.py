"""tools/list and tools/call."""

from collections.abc import Mapping
from typing import Any

from app.application.bus import Bus
from app.application.commands import ExecuteTool
from app.application.queries import ListTools
from app.domain.access import Caller
from app.presentation.methods.context import Contexts
from app.presentation.methods.lists import RenderedLists, listed
from app.presentation.protocol import wire
from app.presentation.protocol.call import Call


class ToolMethods:
    """Lists and calls tools."""

    def __init__(self, bus: Bus, contexts: Contexts, lists: RenderedLists) -> None:
        self._bus = bus
        self._contexts = contexts
        self._lists = lists

    async def list(self, call: Call) -> bytes:
        """Answer tools/list."""

        async def render(caller: Caller, cursor: str | None) -> Mapping[str, Any]:
            page = await self._bus.handle(ListTools(caller, cursor))
            return listed({"tools": [wire.tool(tool, call.revision) for tool in page.entries]}, page.next_cursor)

        return await self._lists.get(call, render)

    async def call(self, call: Call) -> bytes:
        """Answer tools/call."""
        arguments = call.params.get("arguments") or {}
        result = await self._bus.handle(ExecuteTool(call.params["name"], arguments, self._contexts.of(call)))
        if result.is_error:
            call.outcome = "tool_error"
        return call.era.finish(call, wire.tool_result(result, call.revision))
