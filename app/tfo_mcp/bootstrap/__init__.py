"""The composition root: settings to adapters to handlers to a Server.

The only place that knows every part. Tests call `build` with settings of their own, and may share the adapters that
hold state between two servers, which are then replicas of each other. Nothing is built when a module is imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import structlog

from tfo_mcp.application import commands, queries
from tfo_mcp.application.budgets import ClientBudgets
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
from tfo_mcp.application.ports import EventBus, LanguageModel, Services, SessionBus, SessionStore, StreamLog, Telemetry
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.application.session_use import SessionUse
from tfo_mcp.bootstrap.budgets import budgets_of
from tfo_mcp.bootstrap.definitions import Catalogs, Definitions
from tfo_mcp.bootstrap.exposure import access_findings, anonymous_access
from tfo_mcp.bootstrap.key_admin import KeyAdministration, key_administration
from tfo_mcp.bootstrap.protection import prepare_imports, protected_of
from tfo_mcp.bootstrap.reload import Reloading
from tfo_mcp.bootstrap.roots import NO_ROOTS, project_root, require_usable, served_roots
from tfo_mcp.bootstrap.security import Security, audit_path, security_of, state_directory
from tfo_mcp.bootstrap.telemetry import Observation, log_export, observation_of, show_queue
from tfo_mcp.bootstrap.workspace import commands_of, files_of
from tfo_mcp.builtin.resources import roots_of
from tfo_mcp.infrastructure.claude import Claude
from tfo_mcp.infrastructure.config import ConfigurationError, Settings, load, redacted, render_yaml
from tfo_mcp.infrastructure.config.shapes import RootPath
from tfo_mcp.infrastructure.diagnosis import Finding, root_findings, sandbox_findings
from tfo_mcp.infrastructure.files import WatchedFiles
from tfo_mcp.infrastructure.identity.sealer import HmacSealer
from tfo_mcp.infrastructure.linux.allocator import Allocator
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.infrastructure.state.events import MemoryEventBus
from tfo_mcp.infrastructure.state.sessions import MemorySessionBus, MemorySessionStore
from tfo_mcp.infrastructure.state.streams import MemoryStreamLog
from tfo_mcp.plugins.definitions import definition_of
from tfo_mcp.plugins.loader import PluginError
from tfo_mcp.presentation.dispatcher import Method, build_dispatcher, method_table, middleware_chain
from tfo_mcp.presentation.in_flight import InFlight
from tfo_mcp.presentation.methods.context import Contexts
from tfo_mcp.presentation.methods.lifecycle import Identity, LifecycleMethods, server_info
from tfo_mcp.presentation.methods.lists import RenderedLists
from tfo_mcp.presentation.methods.prompts import PromptMethods
from tfo_mcp.presentation.methods.resources import ResourceMethods
from tfo_mcp.presentation.methods.subscriptions import SubscriptionMethods
from tfo_mcp.presentation.methods.tools import ToolMethods
from tfo_mcp.presentation.middleware import Middleware
from tfo_mcp.presentation.middleware.audit import Audit
from tfo_mcp.presentation.middleware.authentication import Authentication
from tfo_mcp.presentation.middleware.authorization import Authorization
from tfo_mcp.presentation.middleware.input_rounds import InputRounds
from tfo_mcp.presentation.middleware.rate_limit import RateLimit
from tfo_mcp.presentation.middleware.tracing import Tracing
from tfo_mcp.presentation.peer_services import PeerServices
from tfo_mcp.presentation.protocol.handshake import HandshakeEra
from tfo_mcp.presentation.protocol.stateless import StatelessEra
from tfo_mcp.presentation.server import Server, Upkeep
from tfo_mcp.presentation.streams import Streams

_log = structlog.get_logger("tfo_mcp")

__all__ = [
    "ConfigurationError",
    "Finding",
    "KeyAdministration",
    "Logging",
    "PluginError",
    "RootPath",
    "Server",
    "Settings",
    "SharedState",
    "anonymous_access",
    "audit_path",
    "build",
    "examine",
    "key_administration",
    "load",
    "logging_of",
    "project_root",
    "redacted",
    "render_yaml",
    "require_usable",
    "served_roots",
    "server_version",
    "state_directory",
]

_log = structlog.get_logger("tfo_mcp.files")


@dataclass(frozen=True, slots=True)
class SharedState:
    """The adapters that hold what must outlive a request; replicas share them."""

    sessions: SessionStore
    streams: StreamLog
    relay: SessionBus
    events: EventBus

    @classmethod
    def embedded(cls, settings: Settings) -> "SharedState":
        """Return the embedded default: this process's memory."""
        return cls(
            MemorySessionStore(settings.mcp.session_idle_seconds),
            MemoryStreamLog(settings.mcp.stream_history, settings.limits.history_bytes),
            MemorySessionBus(),
            MemoryEventBus(),
        )


def server_version() -> str:
    """Return the version of the installed distribution."""
    return version("tfo-mcp")


def logging_of(settings: Settings, descriptor: int = 2) -> Logging:
    """Return logging as configured, to be entered; lines go to the file descriptor.

    Raises:
        ConfigurationError: they are to be sent somewhere, too, and cannot be.
    """
    section, telemetry = settings.logging, settings.telemetry
    return Logging(
        section.level,
        section.format,
        telemetry.service_name,
        telemetry.environment,
        descriptor,
        log_export(settings),
    )


def examine(settings: Settings) -> dict[str, list[Finding]]:
    """Return what this machine offers for what is configured, by section."""
    roots = served_roots(settings)
    prepare_imports(settings, roots.paths)
    missing = [Finding("none", "note", roots.reason)] if roots.reason is not None else []
    return {
        "sandbox": list(sandbox_findings(settings, roots.paths)),
        "roots": missing or list(root_findings(settings, roots.paths, protected_of(settings))),
        "callers": list(access_findings(settings)),
    }


def build(
    settings: Settings,
    state: SharedState | None = None,
    *,
    logging: Logging | None = None,
    reread: Callable[[], Settings] | None = None,
) -> Server:
    """Compose a server.

    Args:
        state: adapters that another server shares; None for ones of its own.
        logging: the log that is written to, whose level a reload changes.
        reread: reads the settings anew for a reload; without it there are always the same.

    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigurationError: a setting names something that is not there.
    """
    state = state or SharedState.embedded(settings)
    roots = served_roots(settings)
    if roots.reason is not None:
        _log.warning("there are no file tools and no commands", reason=roots.reason)
    definitions, observation = Definitions(settings, roots), observation_of(settings)
    security = security_of(settings)
    protected = protected_of(settings)
    claude, files = _claude(settings, observation.telemetry), files_of(settings, roots, protected)
    runner, watcher = commands_of(settings, files, protected), WatchedFiles(files)
    if (obstacle := runner.obstacle()) is not None:
        _log.warning("no commands are run", reason=obstacle)
    catalogs = definitions.fill(Catalogs(), map(definition_of, roots_of(files.roots)))
    budgets, session_use = budgets_of(settings), SessionUse()
    lifecycle = Lifecycle({"files.roots": files.works, **security.needs()})
    watched = WatchedResources(watcher, state.events, budgets.subscriptions)
    bus = _connect(
        catalogs, definitions.unavailable(), state, claude, watched, security, lifecycle, session_use, settings
    )
    instructions = "\n\n".join(filter(None, (settings.mcp.instructions, roots.reason and NO_ROOTS)))
    identity = Identity("tfo-mcp", "TelemetryFlow MCP Server", server_version(), instructions)
    reloading = Reloading(
        settings,
        reread or (lambda: settings),
        definitions,
        catalogs,
        security.policy,
        budgets,
        bus,
        state.events,
        protected,
        logging,
    )
    methods = _methods(bus, Services(files, runner, reloading.shown), security, identity, lifecycle, budgets, settings)
    in_flight = InFlight(settings.mcp.call_timeout_seconds)
    session_use.report(in_flight.serves)
    peer_services = PeerServices(
        bus,
        build_dispatcher(methods, _middleware(bus, security, state.events, observation.telemetry, settings)),
        HandshakeEra(bus, settings.mcp.ask_timeout_seconds),
        StatelessEra(server_info(identity)),
        state.relay,
        in_flight,
        budgets.response_bytes,
    )

    async def close_files() -> None:
        await watcher.aclose()
        runner.close()
        files.close()

    server = Server(
        peer_services,
        Streams(state.streams),
        state.events,
        lifecycle,
        Upkeep(
            settings.mcp.session_idle_seconds,
            settings.server.drain_seconds,
            (claude.aclose, close_files, security.aclose, observation.aclose),
            observation.exposition,
            Allocator().release,
            reloading,
        ),
        budgets,
        session_use,
    )
    _show(observation, server, in_flight, lifecycle, logging)
    observation.listen(state.events)
    return server


def _show(
    observation: Observation, server: Server, in_flight: InFlight, lifecycle: Lifecycle, logging: Logging | None
) -> None:
    """Show what there is at the moment among the metrics."""
    observation.gauge("tfo_mcp.calls.active", "{call}", "Calls that run.", lambda: len(in_flight))
    observation.gauge(
        "tfo_mcp.streams.active", "{stream}", "Connections and streams that stand open.", lambda: server.lasting
    )
    observation.gauge(
        "tfo_mcp.ready",
        "1",
        "Whether requests can be served: 1 or 0.",
        lambda: lifecycle.phase == "serving" and not lifecycle.missing,
    )
    if logging is not None:
        show_queue(observation, "log_lines", lambda: logging.waiting, lambda: logging.dropped)


def _methods(
    bus: Bus,
    services: Services,
    security: Security,
    identity: Identity,
    lifecycle: Lifecycle,
    budgets: ClientBudgets,
    settings: Settings,
) -> Mapping[str, Method]:
    contexts, ttl_ms = Contexts(bus, services), settings.mcp.cache_ttl_ms
    lists = RenderedLists(bus, ttl_ms, security.policy)
    return method_table(
        LifecycleMethods(bus, identity, ttl_ms),
        ToolMethods(bus, contexts, lists),
        ResourceMethods(bus, contexts, lists),
        PromptMethods(bus, contexts, lists),
        SubscriptionMethods(bus, lifecycle.stopping, budgets.streams),
    )


def _middleware(
    bus: Bus, security: Security, events: EventBus, telemetry: Telemetry, settings: Settings
) -> tuple[Middleware, ...]:
    state_key = settings.mcp.state_key
    sealer = HmacSealer(state_key.get_secret_value() if state_key is not None else None)
    return middleware_chain(
        Tracing(structlog.get_logger().bind(), telemetry),
        Audit(security.audit, security.hashing_key),
        Authentication(bus),
        RateLimit(security.rates, security.policy, events),
        Authorization(bus),
        InputRounds(sealer, settings.mcp.request_state_seconds),
        audit_required=settings.security.audit_required,
    )


def _claude(settings: Settings, telemetry: Telemetry) -> Claude:
    section = settings.claude
    return Claude(
        api_key=section.api_key.get_secret_value() if section.api_key is not None else None,
        base_url=section.base_url,
        model=section.model,
        max_tokens=section.max_tokens,
        timeout_seconds=section.timeout_seconds,
        max_retries=section.max_retries,
        telemetry=telemetry,
    )


def _connect(
    catalogs: Catalogs,
    unavailable: Mapping[str, str],
    state: SharedState,
    model: LanguageModel,
    watched: WatchedResources,
    security: Security,
    lifecycle: Lifecycle,
    session_use: SessionUse,
    settings: Settings,
) -> Bus:
    """Bring every message and its handler together."""
    bus, events, page_size = Bus(), state.events, settings.mcp.page_size
    sessions = SessionHandler(
        state.sessions,
        state.streams,
        events,
        watched,
        SessionLimits(settings.mcp.max_sessions_per_caller, settings.mcp.max_sessions),
        session_use.includes,
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
    tools = ToolHandler(catalogs.tools, events, page_size, unavailable)
    bus.register(commands.RegisterTool, tools.register)
    bus.register(commands.RemoveTool, tools.remove)
    bus.register(commands.ExecuteTool, tools.execute)
    bus.register(queries.ListTools, tools.list)
    bus.register(queries.GetTool, tools.get)
    resources = ResourceHandler(catalogs.resources, catalogs.templates, events, page_size)
    bus.register(commands.RegisterResource, resources.register)
    bus.register(commands.RemoveResource, resources.remove)
    bus.register(commands.AnnounceUpdate, resources.announce)
    bus.register(queries.ListResources, resources.list)
    bus.register(queries.ListResourceTemplates, resources.list_templates)
    bus.register(queries.ResolveResource, resources.resolve)
    bus.register(queries.ReadResource, resources.read)
    prompts = PromptHandler(catalogs.prompts, events, page_size)
    bus.register(commands.RegisterPrompt, prompts.register)
    bus.register(commands.RemovePrompt, prompts.remove)
    bus.register(queries.ListPrompts, prompts.list)
    bus.register(queries.GetPrompt, prompts.render)
    bus.register(queries.Complete, CompletionHandler(catalogs.prompts, catalogs.templates).complete)
    bus.register(commands.WatchChanges, SubscriptionHandler(events, watched).watch)
    bus.register(commands.SendMessage, ConversationHandler(model, events, security.rates, security.policy).send)
    access = security.access(events)
    bus.register(commands.Authenticate, access.authenticate)
    bus.register(queries.CheckCredentials, access.is_still_good)
    health = HealthHandler(
        catalogs.tools, catalogs.resources, catalogs.templates, catalogs.prompts, state.sessions, events, lifecycle
    )
    bus.register(queries.GetHealth, health.health)
    bus.register(queries.GetReadiness, health.readiness)
    bus.register(queries.GetCatalogVersions, health.versions)
    return bus
