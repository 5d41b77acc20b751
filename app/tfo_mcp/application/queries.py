"""Queries: what can be asked without changing anything, as data."""

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
    """The session of that id; whether it is the caller's own is the asker's to check."""

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class ListTools(Query[Page[Tool]]):
    """A page of the tools that the caller may use."""

    caller: Caller
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class GetTool(Query[Tool]):
    """The tool of that name, if the caller may use it."""

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
    """Whether something answers to the URI for this caller; if nothing does, the handler says so."""

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
    """Values that fit what was typed: at most 100 of `total`."""

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
    """Whether requests can be served: if not, why, with the settings whose objects are not there."""

    status: Literal["ready", "starting", "draining", "failing"]
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GetReadiness(Query[Readiness]):
    """Whether requests can be served."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the server is: whole seconds up, what it offers, what it has done since the start.

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
    """How the server is."""


@dataclass(frozen=True, slots=True)
class CatalogVersions:
    """Numbers that change whenever the tools, resources or prompts do: what was rendered before is then stale."""

    tools: int
    resources: int
    prompts: int


@dataclass(frozen=True, slots=True)
class GetCatalogVersions(Query[CatalogVersions]):
    """The versions of all catalogs."""


@dataclass(frozen=True, slots=True)
class CheckCredentials(Query[bool]):
    """Whether what a caller has shown would be taken now, too."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class ListKeys(Query[Sequence[ApiKey]]):
    """All API keys, without their texts, which nobody has."""
