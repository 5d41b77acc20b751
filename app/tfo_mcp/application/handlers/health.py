"""HealthHandler: reports health, readiness and catalog versions."""

from collections.abc import Callable
from time import monotonic

from tfo_mcp.application.catalog import Catalog
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import EventBus, SessionStore, Workers
from tfo_mcp.application.queries import CatalogVersions, GetCatalogVersions, GetHealth, GetReadiness, Health, Readiness
from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.domain.events import ToolExecuted
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool


class HealthHandler:
    """Reports the server's state, and counts the tool calls of this process."""

    def __init__(
        self,
        tools: Catalog[Tool],
        resources: Catalog[Resource],
        templates: Catalog[ResourceTemplate],
        prompts: Catalog[Prompt],
        sessions: SessionStore,
        events: EventBus,
        lifecycle: Lifecycle,
        workers: Workers,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._tools = tools
        self._resources = resources
        self._templates = templates
        self._prompts = prompts
        self._sessions = sessions
        self._lifecycle = lifecycle
        self._workers = workers
        self._clock = clock
        self._started = clock()
        events.subscribe([ToolExecuted], self._count)

    async def health(self, _query: GetHealth) -> Health:
        """Return the health report."""
        readiness = await self.readiness(GetReadiness())
        calls, failed = self._workers.calls()
        return Health(
            status="ok",
            readiness=readiness.status,
            failing=readiness.failing,
            uptime_seconds=int(self._clock() - self._started),
            sessions=await self._count_sessions(),
            tools=len(self._tools),
            resources=len(self._resources) + len(self._templates),
            prompts=len(self._prompts),
            calls=calls,
            failed_calls=failed,
            workers=self._workers.count,
        )

    async def readiness(self, _query: GetReadiness) -> Readiness:
        """Return whether requests can be served."""
        match self._lifecycle.phase:
            case "serving":
                missing, reduced = self._lifecycle.look(), self._lifecycle.reduced
                if missing:
                    return Readiness("failing", (*missing, *reduced))
                return Readiness("degraded", reduced) if reduced else Readiness("ready")
            case phase:
                return Readiness(phase)

    async def versions(self, _query: GetCatalogVersions) -> CatalogVersions:
        """Return the versions of the catalogs."""
        return CatalogVersions(
            tools=self._tools.version,
            resources=self._resources.version + self._templates.version,
            prompts=self._prompts.version,
        )

    async def _count_sessions(self) -> int | None:
        try:
            return await self._sessions.count()
        except StateUnavailable:
            return None

    def _count(self, event: ToolExecuted) -> None:
        self._workers.count_call(failed=event.is_error)
