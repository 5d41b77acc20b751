"""Queries: read-only messages of the application bus, and their result types. Handlers are in `handlers`."""

from collections.abc import Mapping, Sequence
from typing import Literal

from tfo_mcp.application.bus import Query
from tfo_mcp.application.catalog import Page
from tfo_mcp.application.context import RequestContext
from tfo_mcp.application.ports import ConversationSummary, DailyUsage
from tfo_mcp.domain.access import Caller
from tfo_mcp.domain.content import ResourceContents
from tfo_mcp.domain.conversation import Conversation
from tfo_mcp.domain.ids import SessionId
from tfo_mcp.domain.keys import ApiKey
from tfo_mcp.domain.prompt import Prompt, RenderedPrompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.session import Session
from tfo_mcp.domain.skill import Skill, SkillEntry
from tfo_mcp.domain.token_usage import TokenUsage
from tfo_mcp.domain.tool import Tool
from tfo_mcp.value_objects import value_object


@value_object
class GetSession(Query[Session]):
    """The session with an id. The sender must check that it belongs to the caller."""

    session_id: SessionId


@value_object
class ListTools(Query[Page[Tool]]):
    """A page of the tools that the caller may use."""

    caller: Caller
    cursor: str | None = None


@value_object
class GetTool(Query[Tool]):
    """The tool with a name, if the caller may use it."""

    caller: Caller
    name: str


@value_object
class ListResources(Query[Page[Resource]]):
    """A page of the resources with a fixed URI that the caller may read."""

    caller: Caller
    cursor: str | None = None


@value_object
class ListResourceTemplates(Query[Page[ResourceTemplate]]):
    """A page of the resource templates that the caller may use."""

    caller: Caller
    cursor: str | None = None


@value_object
class ReadResource(Query[tuple[ResourceContents, ...]]):
    """The contents of a resource."""

    uri: str
    context: RequestContext


@value_object
class ResolveResource(Query[None]):
    """Check that the URI resolves to a resource that the caller may read; the handler raises otherwise."""

    uri: str
    caller: Caller


@value_object
class ListSkills(Query[Page[Skill]]):
    """A page of the skills."""

    caller: Caller
    cursor: str | None = None


@value_object
class ListSkillDocuments(Query[tuple[Skill, ...]]):
    """All skills, for the list of resources: their documents are resources."""

    caller: Caller


@value_object
class GetSkill(Query[Skill]):
    """The skill whose document has the URI."""

    caller: Caller
    uri: str


@value_object
class ListSkillDirectory(Query[Page[SkillEntry]]):
    """A page of what lies directly in a directory of a skill."""

    caller: Caller
    uri: str
    cursor: str | None = None


@value_object
class ListPrompts(Query[Page[Prompt]]):
    """A page of the prompts that the caller may use."""

    caller: Caller
    cursor: str | None = None


@value_object
class GetPrompt(Query[RenderedPrompt]):
    """A prompt, rendered with its arguments."""

    name: str
    arguments: Mapping[str, str]
    context: RequestContext


@value_object
class ListConversations(Query[Sequence[ConversationSummary]]):
    """The caller's most recent conversations with the language model; none for a caller who may not have any."""

    caller: Caller


@value_object
class GetConversation(Query[Conversation]):
    """A conversation of the caller."""

    caller: Caller
    conversation_id: str


@value_object
class ModelUsage:
    """What a caller has used the language model for.

    `models` sums up the kept conversations by model, and `days` are the tokens of the last days (UTC), latest first,
    also of conversations that are not kept. `quota` is the maximum of tokens per day and `remaining` what is
    left of it; both are None without a quota.
    """

    conversations: int
    total: TokenUsage
    models: Mapping[str, TokenUsage]
    days: Sequence[DailyUsage]
    quota: int | None
    remaining: int | None


@value_object
class GetModelUsage(Query[ModelUsage]):
    """What the caller has used the language model for."""

    caller: Caller


@value_object
class Completion:
    """Suggested values: at most 100 of `total`."""

    values: tuple[str, ...]
    total: int


@value_object
class Complete(Query[Completion]):
    """Values for one argument of a prompt (by name) or of a resource template (by its URI template)."""

    target: Literal["prompt", "resource"]
    reference: str
    argument: str
    value: str
    others: Mapping[str, str]
    context: RequestContext


@value_object
class Readiness:
    """Whether requests can be served; `failing` names the dependencies that are unavailable.

    `degraded`: requests are served, except those that need the failing ones.
    """

    status: Literal["ready", "degraded", "starting", "draining", "failing"]
    failing: tuple[str, ...] = ()


@value_object
class GetReadiness(Query[Readiness]):
    """Whether requests can be served."""


@value_object
class Health:
    """Health report: uptime in whole seconds, numbers of registered features, and counters since the start.

    `readiness` and `failing` are as in `Readiness`. `sessions` is None while they cannot be counted. The counters are
    those of all `workers`, the processes of this server; readiness and uptime are those of the process that answers.
    """

    status: Literal["ok"]
    readiness: str
    failing: tuple[str, ...]
    uptime_seconds: int
    sessions: int | None
    tools: int
    resources: int
    prompts: int
    calls: int
    failed_calls: int
    workers: int


@value_object
class GetHealth(Query[Health]):
    """The health report."""


@value_object
class CatalogVersions:
    """Version numbers that change with every catalog change, for cache invalidation."""

    tools: int
    resources: int
    prompts: int


@value_object
class GetCatalogVersions(Query[CatalogVersions]):
    """The versions of all catalogs."""


@value_object
class CheckCredentials(Query[bool]):
    """Whether the credentials of an authenticated caller are still valid."""

    caller: Caller


@value_object
class ListKeys(Query[Sequence[ApiKey]]):
    """All API keys. Their texts are not stored."""
