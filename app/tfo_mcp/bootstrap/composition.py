"""The composition: builds a `Server` from the settings.

The only module that knows every part. `build` may be called several times in a process; servers that share the adapters
with state (`SharedState`) are replicas of each other. Importing a module builds nothing.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.metadata import version

import anyio
import structlog

from tfo_mcp.application.lifecycle import Lifecycle
from tfo_mcp.application.ports import Services, Use, Workers
from tfo_mcp.application.resource_watches import WatchedResources
from tfo_mcp.application.session_use import SessionUse
from tfo_mcp.bootstrap.budgets import budgets_of
from tfo_mcp.bootstrap.claude import claude_of
from tfo_mcp.bootstrap.client_workspaces import ClientWorkspaces
from tfo_mcp.bootstrap.definitions import Catalogs, Definitions
from tfo_mcp.bootstrap.events import show_events
from tfo_mcp.bootstrap.message_bus import HandlerParts, message_bus
from tfo_mcp.bootstrap.metric_service import metric_service
from tfo_mcp.bootstrap.protection import protected_of
from tfo_mcp.bootstrap.reload import Reloading
from tfo_mcp.bootstrap.resource_watchers import ResourceWatchers
from tfo_mcp.bootstrap.roots import NO_ROOTS, ServedRoots, served_roots
from tfo_mcp.bootstrap.security import Security, security_of
from tfo_mcp.bootstrap.skills import skill_extension, skill_methods, skills_of
from tfo_mcp.bootstrap.state import SharedState
from tfo_mcp.bootstrap.telemetry import observation_of, show_queue
from tfo_mcp.bootstrap.telemetry_store import receiver_client, stored_telemetry
from tfo_mcp.bootstrap.workers import ServerSecrets, Worker
from tfo_mcp.bootstrap.workspace import commands_of, files_of
from tfo_mcp.domain.events import TokensUsed, ToolExecuted
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.infrastructure.files import WatchedFiles
from tfo_mcp.infrastructure.identity.sealer import HmacSealer
from tfo_mcp.infrastructure.linux.allocator import Allocator
from tfo_mcp.infrastructure.logging import Logging
from tfo_mcp.infrastructure.telemetry_store.own_exports import OwnExports
from tfo_mcp.infrastructure.workers.alone import OneProcess
from tfo_mcp.plugins.definitions import Definition, definition_of
from tfo_mcp.presentation.dispatcher import Method, build_dispatcher, method_table, middleware_chain
from tfo_mcp.presentation.housekeeping import Upkeep
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
from tfo_mcp.presentation.protocol.extensions import APPS, CLIENT_CREDENTIALS
from tfo_mcp.presentation.protocol.handshake import HandshakeEra
from tfo_mcp.presentation.protocol.rendering import JsonObject
from tfo_mcp.presentation.protocol.stateless import StatelessEra
from tfo_mcp.presentation.server import Server
from tfo_mcp.presentation.session_drain import SessionDrain
from tfo_mcp.presentation.streams import Streams

_log = structlog.get_logger("tfo_mcp.files")
_state_log = structlog.get_logger("tfo_mcp.state")


def server_version() -> str:
    """Return the version of the installed distribution."""
    return version("tfo-mcp")


def build(
    settings: Settings,
    state: SharedState | None = None,
    *,
    logging: Logging | None = None,
    reread: Callable[[], Settings] | None = None,
    worker: Worker | None = None,
    own: OwnExports | None = None,
    tracebacks: bool = False,
) -> Server:
    """Build a server.

    Args:
        state: adapters to share with other servers; by default the server gets its own.
        logging: the process's logging, so that a reload can change its level.
        reread: reads the settings again for a reload; by default a reload uses the same settings.
        worker: what this process has from its parent; None if it is the only one of the server.
        own: sends the server's telemetry to the telemetry store, which is then kept running; None without one.
        tracebacks: whether results of plugins' tools show the traceback of a failure, for their author.

    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigurationError: a setting cannot be used.
    """
    state = state or SharedState.of(settings)
    reread = reread or (lambda: settings)
    return _Composition(settings, state, logging, reread, worker, own, tracebacks).server()


class _Composition:
    """The parts of one server, each built from the settings and from parts before it."""

    def __init__(
        self,
        settings: Settings,
        state: SharedState,
        logging: Logging | None,
        reread: Callable[[], Settings],
        worker: Worker | None,
        own: OwnExports | None,
        tracebacks: bool,
    ) -> None:
        self._settings, self._state, self._logging = settings, state, logging
        self._roots = served_roots(settings)
        self._own = own
        self._definitions = Definitions(settings, self._roots, tracebacks=tracebacks)
        self._workers: Workers = OneProcess() if worker is None else worker.place
        self._secrets = ServerSecrets.of(settings) if worker is None else worker.secrets
        self._observation = observation_of(settings, None if worker is None else worker.place, own)
        self._security = security_of(settings, state.failures, state.database, self._secrets.hashing_key)
        protected = protected_of(settings)
        self._claude = claude_of(settings, self._observation.telemetry)
        self._files = files_of(settings, self._roots, protected)
        self._runner = commands_of(settings, self._files, protected)
        self._of_clients = ClientWorkspaces(settings, self._roots, protected) if self._roots.from_client else None
        self._stored = stored_telemetry(settings)
        self._watcher = ResourceWatchers(self._stored, WatchedFiles(self._files))
        self._skills = skills_of(settings, protected)
        self._catalogs = Catalogs(lambda: (*self._definitions.offered(), *self._own_resources()))
        self._budgets = budgets_of(settings)
        self._session_use = SessionUse()
        needs = {"files.roots": self._files.works, **self._security.needs()}
        self._lifecycle = Lifecycle(needs, {**state.optional, "server.workers": lambda: self._workers.is_complete})
        self._bus = message_bus(self._handler_parts())
        self._reloading = Reloading(
            *(settings, reread, self._definitions, self._catalogs, self._security.policy, self._budgets),
            *(self._bus, state.events, protected, logging),
        )
        self._identity = _identity(settings, self._roots)
        self._in_flight = InFlight(settings.mcp.call_timeout_seconds)
        self._session_use.report(self._in_flight.serves)

    def _own_resources(self) -> Iterable[Definition]:
        """Return the resources that depend on the settings: the roots, and the files of skills."""
        from tfo_mcp.builtin.resources import roots_of
        from tfo_mcp.builtin.skills import skill_file

        skills = [skill_file(self._skills.read)] if self._settings.skills.directories else []
        return map(definition_of, [*roots_of(self._files.roots), *skills])

    def server(self) -> Server:
        """Return the server."""
        _store_behind(self._state, self._security)
        for problem in self._settings.ignored.values():
            _log.warning("environment variable ignored", reason=problem)
        self._warn_of_own_key()
        if self._roots.reason is not None:
            _log.warning("file tools and commands are disabled", reason=self._roots.reason)
        if (obstacle := self._runner.obstacle()) is not None:
            _log.warning("no commands are run", reason=obstacle)
        self._state.relay.report_use(Use.OPEN, self._session_use.includes)
        self._state.relay.report_use(Use.CALLS, self._in_flight.serves)
        server = Server(
            self._peer_services(),
            Streams(self._state.streams),
            self._state.events,
            self._lifecycle,
            self._upkeep(),
            self._budgets,
            self._session_use,
            self._state.posts,
        )
        self._show(server)
        self._observation.listen(self._state.events)
        return server

    def _warn_of_own_key(self) -> None:
        """Warn if replicas are likely that have another key than this server; its workers have the same one."""
        may_have_others = not self._settings.state.is_memory and isinstance(self._workers, OneProcess)
        if may_have_others and self._settings.mcp.state_key is None:
            _state_log.warning("replicas refuse each other's requestState: give all of them the same mcp.state_key")

    def _handler_parts(self) -> HandlerParts:
        return HandlerParts(
            self._settings,
            self._state,
            self._catalogs,
            self._definitions,
            self._claude,
            WatchedResources(self._watcher, self._state.events, self._budgets.subscriptions),
            self._security,
            self._lifecycle,
            self._workers,
            self._skills,
        )

    def _peer_services(self) -> PeerServices:
        return PeerServices(
            self._bus,
            build_dispatcher(self._methods(), self._middleware()),
            HandshakeEra(self._bus, self._settings.mcp.ask_timeout_seconds),
            StatelessEra(server_info(self._identity)),
            self._state.relay,
            SessionDrain(self._state.relay, self._settings.server.drain_seconds),
            self._in_flight,
            self._budgets.response_bytes,
        )

    def _methods(self) -> Mapping[str, Method]:
        bus, ttl_ms = self._bus, self._settings.mcp.cache_ttl_ms
        confine = None if self._of_clients is None else self._of_clients.services
        contexts = Contexts(bus, self._services(), confine)
        lists = RenderedLists(bus, ttl_ms, self._security.policy)
        return method_table(
            LifecycleMethods(bus, self._identity, ttl_ms),
            ToolMethods(bus, contexts, lists),
            ResourceMethods(bus, contexts, lists),
            PromptMethods(bus, contexts, lists),
            SubscriptionMethods(bus, self._lifecycle.stopping, self._budgets.streams),
            skill_methods(self._settings, bus),
        )

    def _services(self) -> Services:
        limit = self._settings.tools.max_result_bytes
        stored = None if self._stored is None else self._stored.of
        metrics = metric_service(self._settings)
        slos = self._settings.telemetry.slos
        return Services(self._files, self._runner, self._reloading.shown, limit, stored, metrics, slos)

    def _middleware(self) -> tuple[Middleware, ...]:
        security, mcp = self._security, self._settings.mcp
        pipeline = self._state.pipeline
        return middleware_chain(
            Tracing(structlog.get_logger().bind(), self._observation.telemetry),
            Audit(security.audit, security.hashing_key),
            Authentication(self._bus),
            RateLimit(self._state.rates, security.policy, self._state.events),
            Authorization(self._bus),
            InputRounds(HmacSealer(self._secrets.sealing_key), mcp.request_state_seconds),
            audit_required=self._settings.security.audit_required,
            events_written=None if pipeline is None else pipeline.written,
        )

    def _upkeep(self) -> Upkeep:
        return Upkeep(
            self._settings.mcp.session_idle_seconds,
            self._settings.server.drain_seconds,
            self._closers(),
            self._observation.exposition,
            Allocator().release,
            self._reloading,
            self._run,
            self._state.connect,
            self._definitions.start,
            self._hidden_tools,
        )

    async def _run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._state.run)
            tasks.start_soon(self._observation.run)
            if self._own is not None and (store := receiver_client(self._settings)) is not None:
                tasks.start_soon(store.keep_running)

    def _hidden_tools(self) -> int:
        caller = self._security.policy.anonymous
        tools = self._catalogs.tools.page(None, sys.maxsize, lambda tool: True).entries
        return 0 if caller is None else sum(not caller.may_use(tool.name, tool.scope) for tool in tools)

    def _closers(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        state, security = self._state, self._security
        return (
            self._definitions.aclose,
            self._stop_waiting,
            self._claude.aclose,
            self._close_files,
            security.aclose,
            state.aclose,
            self._observation.aclose,
        )

    async def _stop_waiting(self) -> None:
        if self._own is not None:
            self._own.stop_waiting()

    async def _close_files(self) -> None:
        await self._watcher.aclose()
        if self._of_clients is not None:
            self._of_clients.close()
        if self._stored is not None:
            self._stored.close()
        self._runner.close()
        self._files.close()
        self._skills.close()

    def _show(self, server: Server) -> None:
        """Register the gauges of calls in flight, open streams, readiness, processes and the log queue."""
        gauge, lifecycle, logging = self._observation.gauge, self._lifecycle, self._logging
        gauge("tfo_mcp.calls.active", "{call}", "Calls in flight.", lambda: len(self._in_flight))
        gauge("tfo_mcp.streams.active", "{stream}", "Open long-lived connections and streams.", lambda: server.lasting)
        gauge(
            "tfo_mcp.ready",
            "1",
            "1 if the server can serve requests, otherwise 0.",
            lambda: lifecycle.phase == "serving" and not lifecycle.missing,
        )
        gauge("tfo_mcp.workers.active", "{process}", "Processes that serve.", lambda: 1)
        if self._state.pipeline is not None:
            show_events(self._observation, self._state.pipeline)
        if (stored := self._security.stored_audit) is not None:
            show_queue(self._observation, "audit", lambda: stored.waiting, lambda: stored.dropped)
        if logging is not None:
            show_queue(self._observation, "log_lines", lambda: logging.waiting, lambda: logging.dropped)


def _store_behind(state: SharedState, security: Security) -> None:
    """Count the usage of callers, and store audit entries if they go to the database."""
    usage = state.usage
    state.events.subscribe([ToolExecuted], lambda event: usage.count(event.caller, calls=1))
    state.events.subscribe([TokensUsed], lambda event: usage.count(event.caller, tokens=event.tokens))
    if state.maintenance is not None:
        security.store_audit(state.maintenance)


def _identity(settings: Settings, roots: ServedRoots) -> Identity:
    instructions = "\n\n".join(filter(None, (settings.mcp.instructions, roots.reason and NO_ROOTS)))
    credentials: Mapping[str, JsonObject] = {} if settings.security.oauth is None else {CLIENT_CREDENTIALS: {}}
    extensions = {**credentials, APPS: {}, **skill_extension(settings)}
    return Identity("tfo-mcp", "TelemetryFlow MCP Server", server_version(), instructions, extensions)
