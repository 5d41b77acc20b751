"""tools/list and tools/call.

An unexpected exception in a tool, or a result that cannot be encoded, becomes a result with `isError` and an error id.
It is not a protocol error because agents of common frameworks abort on protocol errors.
"""

from collections.abc import Mapping
from typing import Any

from tfo_mcp.application.bus import Bus
from tfo_mcp.application.commands import ExecuteTool
from tfo_mcp.application.queries import ListTools
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.errors import DomainError
from tfo_mcp.domain.tool import ToolResult
from tfo_mcp.presentation.methods.context import Contexts
from tfo_mcp.presentation.methods.lists import RenderedLists, listed
from tfo_mcp.presentation.protocol import rendering
from tfo_mcp.presentation.protocol.call import Call, Outcome
from tfo_mcp.presentation.protocol.extensions import is_listed
from tfo_mcp.presentation.protocol.faults import Fault, unexpected


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
            tools = [tool for tool in page.entries if is_listed(tool, call.capabilities)]
            return listed({"tools": [rendering.tool(tool, call.revision) for tool in tools]}, page.next_cursor)

        return await self._lists.get(call, render)

    async def call(self, call: Call) -> bytes:
        """Answer tools/call."""
        assert call.tool is not None
        arguments = call.params.get("arguments") or {}
        try:
            result = await self._bus.handle(ExecuteTool(call.tool, arguments, self._contexts.of(call)))
            call.result = result
            if result.is_error:
                call.outcome = Outcome.TOOL_ERROR
            members = rendering.text_result(result, call.revision)
            if members is not None:
                return call.era.finish_encoded(members)
            return call.era.finish(call, rendering.tool_result(result, call.revision))
        except (Fault, DomainError):
            raise
        except Exception as problem:
            return _internal_error(call, problem)


def _internal_error(call: Call, problem: Exception) -> bytes:
    call.outcome = Outcome.TOOL_INTERNAL_ERROR
    fault = unexpected(problem, call.method)
    shown = rendering.tool_result(ToolResult.error(fault.message), call.revision)
    return call.era.finish(call, {**shown, "_meta": {"errorId": fault.data["errorId"]}})
