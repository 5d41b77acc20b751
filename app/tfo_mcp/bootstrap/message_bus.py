"""The message bus: every command and query with its handler. Knows handlers and ports, no adapter."""

from collections.abc import Mapping
from dataclasses import dataclass

from tfo_mcp.application import commands, queries
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.handlers.completions import CompletionHandler
from tfo_mcp.application.handlers.conversations import ConversationHandler
from tfo_mcp.application.handlers.health import HealthHandler
from tfo_mcp.application.handlers.prompts import PromptHandler
from tfo_mcp.application.handlers.resources import ResourceHandler
from tfo_mcp.application.handlers.sessions import SessionHandler, SessionLimits
from tfo_mcp.application.handlers.subscriptions import SubscriptionHandler
from tfo_mcp.application.handlers.tools import ToolHandler
from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import LanguageModel
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.application.session_use import SessionUse
from tfo_mcp.bootstrap.definitions import Catalogs
from tfo_mcp.bootstrap.security import Security
from tfo_mcp.bootstrap.state import SharedState
from tfo_mcp.infrastructure.config import Settings


@dataclass(frozen=True, slots=True)
class HandlerParts:
    """What handlers are made from; `unavailable` says for names of tools that are not served why that is."""

    settings: Settings
    state: SharedState
    catalogs: Catalogs
    unavailable: Mapping[str, str]
    model: LanguageModel
    watched: WatchedResources
    security: Security
    lifecycle: Lifecycle
    session_use: SessionUse


def message_bus(parts: HandlerParts) -> Bus:
    """Return a bus that knows the handler of every message."""
    bus = Bus()
    _register_sessions(bus, parts)
    _register_tools(bus, parts)
    _register_resources(bus, parts)
    _register_prompts(bus, parts)
    _register_services(bus, parts)
    return bus


def _register_sessions(bus: Bus, parts: HandlerParts) -> None:
    sessions = SessionHandler(
        parts.state.sessions,
        parts.state.streams,
        parts.state.events,
        parts.watched,
        SessionLimits(parts.settings.mcp.max_sessions_per_caller, parts.settings.mcp.max_sessions),
        parts.session_use.includes,
    )
    bus.register(commands.InitializeSession, sessions.initialize)
    bus.register(commands.ConfirmSession, sessions.confirm)
    bus.register(commands.DrainSession, sessions.drain)
    bus.register(commands.CloseSession, sessions.close)
    bus.register(commands.ReapSessions, sessions.reap)
    bus.register(commands.SetLogLevel, sessions.set_log_level)
    bus.register(commands.SubscribeResource, sessions.subscribe)
    bus.register(commands.UnsubscribeResource, sessions.unsubscribe)
    bus.register(queries.GetSession, sessions.get)


def _register_tools(bus: Bus, parts: HandlerParts) -> None:
    tools = ToolHandler(parts.catalogs.tools, parts.state.events, parts.settings.mcp.page_size, parts.unavailable)
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
    bus.register(commands.WatchChanges, SubscriptionHandler(events, parts.watched).watch)


def _register_prompts(bus: Bus, parts: HandlerParts) -> None:
    prompts = PromptHandler(parts.catalogs.prompts, parts.state.events, parts.settings.mcp.page_size)
    bus.register(commands.RegisterPrompt, prompts.register)
    bus.register(commands.RemovePrompt, prompts.remove)
    bus.register(queries.ListPrompts, prompts.list)
    bus.register(queries.GetPrompt, prompts.render)
    bus.register(queries.Complete, CompletionHandler(parts.catalogs.prompts, parts.catalogs.templates).complete)


def _register_services(bus: Bus, parts: HandlerParts) -> None:
    events, security, catalogs = parts.state.events, parts.security, parts.catalogs
    conversations = ConversationHandler(parts.model, events, security.rates, security.policy)
    bus.register(commands.SendMessage, conversations.send)
    access = security.access(events)
    bus.register(commands.Authenticate, access.authenticate)
    bus.register(queries.CheckCredentials, access.is_still_good)
    health = HealthHandler(
        *(catalogs.tools, catalogs.resources, catalogs.templates, catalogs.prompts),
        *(parts.state.sessions, events, parts.lifecycle),
    )
    bus.register(queries.GetHealth, health.health)
    bus.register(queries.GetReadiness, health.readiness)
    bus.register(queries.GetCatalogVersions, health.versions)
