"""ToolHandler: registers, lists and runs tools."""

from collections.abc import Mapping
from time import perf_counter

from tfo_mcp.application.catalog import Catalog, Page
from tfo_mcp.application.commands import ExecuteTool, RegisterTool, RemoveTool
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.queries import GetTool, ListTools
from tfo_mcp.domain.errors import OperationFailed, OutOfReach, ToolNotFound
from tfo_mcp.domain.events import SandboxRefused, ToolExecuted, ToolRegistered, ToolRemoved
from tfo_mcp.domain.tool import Tool, ToolResult


class ToolHandler:
    """Serves the catalog of tools; a tool that the caller may not use does not exist for it.

    Args:
        unavailable: names of tools that this server cannot offer, and what they need.
    """

    def __init__(
        self, catalog: Catalog[Tool], events: EventBus, page_size: int, unavailable: Mapping[str, str] = {}
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._page_size = page_size
        self._unavailable = unavailable

    async def register(self, command: RegisterTool) -> None:
        """Add or replace a tool."""
        self._catalog.put(command.tool)
        self._events.publish(ToolRegistered(command.tool.name))

    async def remove(self, command: RemoveTool) -> None:
        """Take a tool away; one that is not there is no error."""
        self._catalog.remove(command.name)
        self._events.publish(ToolRemoved(command.name))

    async def list(self, query: ListTools) -> Page[Tool]:
        """List the caller's tools."""
        return self._catalog.page(
            query.cursor, self._page_size, lambda tool: query.caller.may_use(tool.name, tool.scope)
        )

    async def get(self, query: GetTool) -> Tool:
        """Find one of the caller's tools.

        Raises:
            ToolNotFound: there is none of that name for this caller.
        """
        tool = self._catalog.get(query.name)
        if tool is None:
            raise ToolNotFound(query.name, reason=self._unavailable.get(query.name))
        if not query.caller.may_use(tool.name, tool.scope):
            raise ToolNotFound(query.name, tool.scope)
        return tool

    async def execute(self, command: ExecuteTool) -> ToolResult:
        """Run a tool; what it reports as its own failure becomes a result with `is_error`."""
        tool = command.tool
        started = perf_counter()
        try:
            result = await tool.run(command.arguments, command.context)
        except OperationFailed as failure:
            if isinstance(failure, OutOfReach):
                self._events.publish(SandboxRefused(failure.place))
            result = ToolResult.error(failure.message)
        except Exception:
            self._events.publish(ToolExecuted(tool.name, True, perf_counter() - started))
            raise
        self._events.publish(ToolExecuted(tool.name, result.is_error, perf_counter() - started))
        return result
