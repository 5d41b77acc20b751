"""The composition: builds a `Server` from the settings.

The only module that knows every part. `build` may be called several times in a process; servers that share the adapters
with state (`SharedState`) are replicas of each other. Importing a module builds nothing.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version

import structlog

from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import Services, Telemetry
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.application.session_use import SessionUse
from tfo_mcp.bootstrap.budgets import budgets_of
from tfo_mcp.bootstrap.definitions import Catalogs, Definitions
from tfo_mcp.bootstrap.message_bus import HandlerParts, message_bus
from tfo_mcp.bootstrap.protection import protected_of
from tfo_mcp.bootstrap.reload import Reloading
from tfo_mcp.bootstrap.roots import NO_ROOTS, ServedRoots, served_roots
from tfo_mcp.bootstrap.security import security_of
from tfo_mcp.bootstrap.state import SharedState
from tfo_mcp.bootstrap.telemetry import observation_of, show_queue
from tfo_mcp.bootstrap.workspace import commands_of, files_of
from tfo_mcp.builtin.resources import roots_of
from tfo_mcp.infrastructure.claude import Claude
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.files import WatchedFiles
from tfo_mcp.infrastructure.identity.sealer import HmacSealer
from tfo_mcp.infrastructure.linux.allocator import Allocator
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.plugins.definitions import definition_of
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

_log = structlog.get_logger("tfo_mcp.files")


def server_version() -> str:
    """Return the version of the installed distribution."""
    return version("tfo-mcp")


def build(
    settings: Settings,
    state: SharedState | None = None,
    *,
    logging: Logging | None = None,
    reread: Callable[[], Settings] | None = None,
) -> Server:
    """Build a server.

    Args:
        state: adapters to share with other servers; by default the server gets its own.
        logging: the process's logging, so that a reload can change its level.
        reread: reads the settings again for a reload; by default a reload uses the same settings.

    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigurationError: a setting cannot be used.
    """
    composition = _Composition(settings, state or SharedState.embedded(settings), logging, reread or (lambda: settings))
    return composition.server()


class _Composition:
    """The parts of one server, each built from the settings and from parts before it."""

    def __init__(
        self, settings: Settings, state: SharedState, logging: Logging | None, reread: Callable[[], Settings]
    ) -> None:
        self._settings = settings
        self._state = state
        self._logging = logging
        self._roots = served_roots(settings)
        self._definitions = Definitions(settings, self._roots)
        self._observation = observation_of(settings)
        self._security = security_of(settings)
        protected = protected_of(settings)
        self._claude = _claude(settings, self._observation.telemetry)
        self._files = files_of(settings, self._roots, protected)
        self._runner = commands_of(settings, self._files, protected)
        self._watcher = WatchedFiles(self._files)
        self._catalogs = self._definitions.fill(Catalogs(), map(definition_of, roots_of(self._files.roots)))
        self._budgets = budgets_of(settings)
        self._session_use = SessionUse()
        self._lifecycle = Lifecycle({"files.roots": self._files.works, **self._security.needs()})
        self._bus = message_bus(self._handler_parts())
        self._reloading = Reloading(
            *(settings, reread, self._definitions, self._catalogs, self._security.policy, self._budgets),
            *(self._bus, state.events, protected, logging),
        )
        self._identity = _identity(settings, self._roots)
        self._in_flight = InFlight(settings.mcp.call_timeout_seconds)
        self._session_use.report(self._in_flight.serves)

    def server(self) -> Server:
        """Return the server."""
        if self._roots.reason is not None:
            _log.warning("file tools and commands are disabled", reason=self._roots.reason)
        if (obstacle := self._runner.obstacle()) is not None:
            _log.warning("no commands are run", reason=obstacle)
        server = Server(
            self._peer_services(),
            Streams(self._state.streams),
            self._state.events,
            self._lifecycle,
            self._upkeep(),
            self._budgets,
            self._session_use,
        )
        self._show(server)
        self._observation.listen(self._state.events)
        return server

    def _handler_parts(self) -> HandlerParts:
        return HandlerParts(
            self._settings,
            self._state,
            self._catalogs,
            self._definitions.unavailable(),
            self._claude,
            WatchedResources(self._watcher, self._state.events, self._budgets.subscriptions),
            self._security,
            self._lifecycle,
            self._session_use,
        )

    def _peer_services(self) -> PeerServices:
        return PeerServices(
            self._bus,
            build_dispatcher(self._methods(), self._middleware()),
            HandshakeEra(self._bus, self._settings.mcp.ask_timeout_seconds),
            StatelessEra(server_info(self._identity)),
            self._state.relay,
            self._in_flight,
            self._budgets.response_bytes,
        )

    def _methods(self) -> Mapping[str, Method]:
        bus, ttl_ms = self._bus, self._settings.mcp.cache_ttl_ms
        contexts = Contexts(bus, Services(self._files, self._runner, self._reloading.shown))
        lists = RenderedLists(bus, ttl_ms, self._security.policy)
        return method_table(
            LifecycleMethods(bus, self._identity, ttl_ms),
            ToolMethods(bus, contexts, lists),
            ResourceMethods(bus, contexts, lists),
            PromptMethods(bus, contexts, lists),
            SubscriptionMethods(bus, self._lifecycle.stopping, self._budgets.streams),
        )

    def _middleware(self) -> tuple[Middleware, ...]:
        security, mcp = self._security, self._settings.mcp
        sealer = HmacSealer(mcp.state_key.get_secret_value() if mcp.state_key is not None else None)
        return middleware_chain(
            Tracing(structlog.get_logger().bind(), self._observation.telemetry),
            Audit(security.audit, security.hashing_key),
            Authentication(self._bus),
            RateLimit(security.rates, security.policy, self._state.events),
            Authorization(self._bus),
            InputRounds(sealer, mcp.request_state_seconds),
            audit_required=self._settings.security.audit_required,
        )

    def _upkeep(self) -> Upkeep:
        return Upkeep(
            self._settings.mcp.session_idle_seconds,
            self._settings.server.drain_seconds,
            (self._claude.aclose, self._close_files, self._security.aclose, self._observation.aclose),
            self._observation.exposition,
            Allocator().release,
            self._reloading,
        )

    async def _close_files(self) -> None:
        await self._watcher.aclose()
        self._runner.close()
        self._files.close()

    def _show(self, server: Server) -> None:
        """Register the gauges of calls in flight, open streams, readiness and the log queue."""
        gauge, lifecycle, logging = self._observation.gauge, self._lifecycle, self._logging
        gauge("tfo_mcp.calls.active", "{call}", "Calls in flight.", lambda: len(self._in_flight))
        gauge("tfo_mcp.streams.active", "{stream}", "Open long-lived connections and streams.", lambda: server.lasting)
        gauge(
            "tfo_mcp.ready",
            "1",
            "1 if the server can serve requests, otherwise 0.",
            lambda: lifecycle.phase == "serving" and not lifecycle.missing,
        )
        if logging is not None:
            show_queue(self._observation, "log_lines", lambda: logging.waiting, lambda: logging.dropped)


def _identity(settings: Settings, roots: ServedRoots) -> Identity:
    instructions = "\n\n".join(filter(None, (settings.mcp.instructions, roots.reason and NO_ROOTS)))
    return Identity("tfo-mcp", "TelemetryFlow MCP Server", server_version(), instructions)


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
