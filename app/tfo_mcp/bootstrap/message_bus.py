"""The message bus: every command and query with its handler. Knows handlers and ports, no adapter."""

from importlib.metadata import version

from tfo_mcp.application import commands, queries
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.handlers.completions import CompletionHandler
from tfo_mcp.application.handlers.conversations import ConversationHandler
from tfo_mcp.application.handlers.health import HealthHandler
from tfo_mcp.application.handlers.prompts import PromptHandler
from tfo_mcp.application.handlers.resources import ResourceHandler
from tfo_mcp.application.handlers.sessions import SessionHandler, SessionLimits
from tfo_mcp.application.handlers.skills import SkillHandler
from tfo_mcp.application.handlers.subscriptions import SubscriptionHandler
from tfo_mcp.application.handlers.tools import ToolHandler
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.model_tools import ModelTools
from tfo_mcp.application.ports import LanguageModel, SkillLibrary, Workers
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.application.result_cache import ResultCache
from tfo_mcp.application.token_quota import TokenQuota
from tfo_mcp.application.turns import TurnRunner
from tfo_mcp.bootstrap.claude import turn_limits_of
from tfo_mcp.bootstrap.definitions import Catalogs, Definitions
from tfo_mcp.bootstrap.roots import served_roots
from tfo_mcp.bootstrap.security import Security
from tfo_mcp.bootstrap.state import SharedState
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.value_objects import value_object


@value_object
class HandlerParts:
    """What handlers are made from."""

    settings: Settings
    state: SharedState
    catalogs: Catalogs
    definitions: Definitions
    model: LanguageModel
    watched: WatchedResources
    security: Security
    lifecycle: Lifecycle
    workers: Workers
    skills: SkillLibrary


def message_bus(parts: HandlerParts) -> Bus:
    """Return a bus that knows the handler of every message."""
    bus = Bus()
    _register_sessions(bus, parts)
    _register_tools(bus, parts)
    _register_resources(bus, parts)
    _register_skills(bus, parts)
    _register_prompts(bus, parts)
    _register_conversations(bus, parts)
    _register_services(bus, parts)
    return bus


def _register_sessions(bus: Bus, parts: HandlerParts) -> None:
    sessions = SessionHandler(
        parts.state.sessions,
        parts.state.streams,
        parts.state.events,
        parts.watched,
        SessionLimits(parts.settings.mcp.max_sessions_per_caller, parts.settings.mcp.max_sessions),
        parts.state.relay.used,
    )
    bus.register(commands.InitializeSession, sessions.initialize)
    bus.register(commands.ConfirmSession, sessions.confirm)
    bus.register(commands.DrainSession, sessions.drain)
    bus.register(commands.CloseSession, sessions.close)
    bus.register(commands.ReapSessions, sessions.reap)
    bus.register(commands.SetLogLevel, sessions.set_log_level)
    bus.register(commands.SubscribeResource, sessions.subscribe)
    bus.register(commands.UnsubscribeResource, sessions.unsubscribe)
    bus.register(commands.WatchSubscriptions, sessions.watch_subscriptions)
    bus.register(queries.GetSession, sessions.get)


def _register_tools(bus: Bus, parts: HandlerParts) -> None:
    events, page_size = parts.state.events, parts.settings.mcp.page_size
    results = ResultCache(parts.state.cache, f"{version('tfo-mcp')} {served_roots(parts.settings).paths}")
    tools = ToolHandler(parts.catalogs.tools, events, page_size, parts.definitions, results)
    bus.register(commands.RegisterTool, tools.register)
    bus.register(commands.RemoveTool, tools.remove)
    bus.register(commands.ExecuteTool, tools.execute)
    bus.register(queries.ListTools, tools.list)
    bus.register(queries.GetTool, tools.get)


def _register_resources(bus: Bus, parts: HandlerParts) -> None:
    catalogs, events = parts.catalogs, parts.state.events
    resources = ResourceHandler(catalogs.resources, catalogs.templates, events, parts.settings.mcp.page_size)
    bus.register(commands.RegisterResource, resources.register)
    bus.register(commands.RemoveResource, resources.remove)
    bus.register(commands.AnnounceUpdate, resources.announce)
    bus.register(queries.ListResources, resources.list)
    bus.register(queries.ListResourceTemplates, resources.list_templates)
    bus.register(queries.ResolveResource, resources.resolve)
    bus.register(queries.ReadResource, resources.read)
    bus.register(commands.WatchChanges, SubscriptionHandler(events, parts.watched, resources.require_scopes).watch)


def _register_skills(bus: Bus, parts: HandlerParts) -> None:
    skills = SkillHandler(parts.skills, parts.settings.mcp.page_size)
    bus.register(queries.ListSkills, skills.list)
    bus.register(queries.ListSkillDocuments, skills.list_documents)
    bus.register(queries.GetSkill, skills.get)
    bus.register(queries.ListSkillDirectory, skills.list_directory)


def _register_prompts(bus: Bus, parts: HandlerParts) -> None:
    prompts = PromptHandler(parts.catalogs.prompts, parts.state.events, parts.settings.mcp.page_size)
    bus.register(commands.RegisterPrompt, prompts.register)
    bus.register(commands.RemovePrompt, prompts.remove)
    bus.register(queries.ListPrompts, prompts.list)
    bus.register(queries.GetPrompt, prompts.render)
    bus.register(queries.Complete, CompletionHandler(parts.catalogs.prompts, parts.catalogs.templates).complete)


def _register_conversations(bus: Bus, parts: HandlerParts) -> None:
    state, claude = parts.state, parts.settings.claude
    limits = turn_limits_of(parts.settings)
    quota = TokenQuota(state.quotas, state.events, parts.security.policy)
    tools = ModelTools(claude.unattended_tools, parts.settings.mcp.call_timeout_seconds)
    turns = TurnRunner(parts.model, state.conversations, state.events, quota, tools, limits)
    conversations = ConversationHandler(parts.model, state.conversations, state.usage, quota, turns, limits)
    bus.register(commands.SendMessage, conversations.send)
    bus.register(queries.GetConversation, conversations.get)
    bus.register(queries.ListConversations, conversations.list)
    bus.register(queries.GetModelUsage, conversations.usage)


def _register_services(bus: Bus, parts: HandlerParts) -> None:
    events, security, catalogs = parts.state.events, parts.security, parts.catalogs
    access = security.access(events)
    bus.register(commands.Authenticate, access.authenticate)
    bus.register(queries.CheckCredentials, access.is_still_good)
    health = HealthHandler(
        *(catalogs.tools, catalogs.resources, catalogs.templates, catalogs.prompts),
        *(parts.state.sessions, events, parts.lifecycle, parts.workers),
    )
    bus.register(queries.GetHealth, health.health)
    bus.register(queries.GetReadiness, health.readiness)
    bus.register(queries.GetCatalogVersions, health.versions)
