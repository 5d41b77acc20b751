"""Queries: read-only messages of the application bus, and their result types. Handlers are in `handlers`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tfo_mcp.application.bus import Query
from tfo_mcp.application.catalog import Page
from tfo_mcp.application.context import RequestContext
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.content import ResourceContents
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.domain.prompt import Prompt, RenderedPrompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.session import Session
from tfo_mcp.domain.tool import Tool


@dataclass(frozen=True, slots=True)
class GetSession(Query[Session]):
    """The session with an id. The sender must check that it belongs to the caller."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class ListTools(Query[Page[Tool]]):
    """A page of the tools that the caller may use."""

    caller: Caller
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class GetTool(Query[Tool]):
    """The tool with a name, if the caller may use it."""

    caller: Caller
    name: str


@dataclass(frozen=True, slots=True)
class ListResources(Query[Page[Resource]]):
    """A page of the resources with a fixed URI that the caller may read."""

    caller: Caller
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ListResourceTemplates(Query[Page[ResourceTemplate]]):
    """A page of the resource templates that the caller may use."""

    caller: Caller
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ReadResource(Query[tuple[ResourceContents, ...]]):
    """The contents of a resource."""

    uri: str
    context: RequestContext


@dataclass(frozen=True, slots=True)
class ResolveResource(Query[None]):
    """Check that the URI resolves to a resource that the caller may read; the handler raises otherwise."""

    uri: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class ListPrompts(Query[Page[Prompt]]):
    """A page of the prompts that the caller may use."""

    caller: Caller
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class GetPrompt(Query[RenderedPrompt]):
    """A prompt, rendered with its arguments."""

    name: str
    arguments: Mapping[str, str]
    context: RequestContext


@dataclass(frozen=True, slots=True)
class Completion:
    """Suggested values: at most 100 of `total`."""

    values: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Complete(Query[Completion]):
    """Values for one argument of a prompt (by name) or of a resource template (by its URI template)."""

    target: Literal["prompt", "resource"]
    reference: str
    argument: str
    value: str
    others: Mapping[str, str]
    context: RequestContext


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served; `failing` names the settings whose dependencies are unavailable."""

    status: Literal["ready", "starting", "draining", "failing"]
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GetReadiness(Query[Readiness]):
    """Whether requests can be served."""


@dataclass(frozen=True, slots=True)
class Health:
    """Health report: uptime in whole seconds, numbers of registered features, and counters since the start.

    `readiness` and `failing` are as in `Readiness`.
    """

    status: Literal["ok"]
    readiness: str
    failing: tuple[str, ...]
    uptime_seconds: int
    sessions: int
    tools: int
    resources: int
    prompts: int
    calls: int
    failed_calls: int


@dataclass(frozen=True, slots=True)
class GetHealth(Query[Health]):
    """The health report."""


@dataclass(frozen=True, slots=True)
class CatalogVersions:
    """Version numbers that change with every catalog change, for cache invalidation."""

    tools: int
    resources: int
    prompts: int


@dataclass(frozen=True, slots=True)
class GetCatalogVersions(Query[CatalogVersions]):
    """The versions of all catalogs."""


@dataclass(frozen=True, slots=True)
class CheckCredentials(Query[bool]):
    """Whether the credentials of an authenticated caller are still valid."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class ListKeys(Query[Sequence[ApiKey]]):
    """All API keys. Their texts are not stored."""
