"""ToolHandler: registers, lists and runs tools."""

from functools import partial
from time import perf_counter
from typing import Protocol

from tfo_mcp.application.catalog import Catalog, Page
from tfo_mcp.application.commands import ExecuteTool, RegisterTool, RemoveTool
from tfo_mcp.application.ports import EventBus
from tfo_mcp.application.queries import GetTool, ListTools
from tfo_mcp.application.result_cache import ResultCache
from tfo_mcp.domain.errors import MissingScope, OperationFailed, OutOfReach, ToolNotFound
from tfo_mcp.domain.events import SandboxRefused, ToolExecuted, ToolRegistered, ToolRemoved
from tfo_mcp.domain.tool import Tool, ToolResult


class OfferedTools(Protocol):
    """Which tools the server offers."""

    def offers(self, tool: Tool) -> bool:
        """Return whether the tool is offered."""

    def unavailable(self, name: str) -> str | None:
        """Return for clients why a known tool is not offered; None for other names."""


class ToolHandler:
    """Manages the catalog of tools. Tools that a caller may not use are hidden from it."""

    def __init__(
        self, catalog: Catalog[Tool], events: EventBus, page_size: int, offered: OfferedTools, results: ResultCache
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._page_size = page_size
        self._offered = offered
        self._results = results

    async def register(self, command: RegisterTool) -> None:
        """Add or replace a tool; a no-op if the server does not offer it."""
        if not self._offered.offers(command.tool):
            return
        self._catalog.put(command.tool)
        self._events.publish(ToolRegistered(command.tool.name))

    async def remove(self, command: RemoveTool) -> None:
        """Remove a tool; a no-op if it does not exist."""
        self._catalog.remove(command.name)
        self._events.publish(ToolRemoved(command.name))

    async def list(self, query: ListTools) -> Page[Tool]:
        """Return a page of the tools that the caller may use."""
        return self._catalog.page(
            query.cursor, self._page_size, lambda tool: query.caller.may_use(tool.name, tool.scope)
        )

    async def get(self, query: GetTool) -> Tool:
        """Return a tool by name.

        Raises:
            ToolNotFound: no tool with that name exists for this caller.
        """
        tool = self._catalog.get(query.name)
        if tool is None:
            raise ToolNotFound(query.name, reason=self._offered.unavailable(query.name))
        if not query.caller.may_use(tool.name, tool.scope):
            raise ToolNotFound(query.name, tool.scope)
        return tool

    async def execute(self, command: ExecuteTool) -> ToolResult:
        """Run a tool and return its result; OperationFailed becomes a result with `is_error`."""
        tool, caller = command.tool, command.context.caller.name
        started = perf_counter()
        try:
            run = tool.run if tool.cache_seconds is None else partial(self._results.run, tool)
            result = await run(command.arguments, command.context)
        except OperationFailed as failure:
            if isinstance(failure, OutOfReach):
                self._events.publish(SandboxRefused(failure.place))
            result = ToolResult.error(failure.message)
        except Exception as problem:
            self._events.publish(ToolExecuted(tool.name, True, perf_counter() - started, caller))
            if isinstance(problem, MissingScope):
                raise problem.including(tool.scope) from None
            raise
        self._events.publish(ToolExecuted(tool.name, result.is_error, perf_counter() - started, caller))
        return result
