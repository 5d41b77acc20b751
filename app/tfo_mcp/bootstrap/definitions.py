"""Definitions: registers the tools, resources and prompts of the built-in modules and of plugins in the catalogs.

Tools that the settings leave out are not registered. A reload imports the plugins again, and notifies clients of
definitions that were added, removed or changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, fields
from difflib import get_close_matches
from types import ModuleType

from tfo_mcp import builtin
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.catalog import Catalog
from tfo_mcp.application.tool_selection import ToolSelection
from tfo_mcp.bootstrap.protection import prepare_imports
from tfo_mcp.bootstrap.roots import NO_ROOTS, ServedRoots, served_roots
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool
from tfo_mcp.infrastructure.config import ConfigurationError, Settings
from tfo_mcp.plugins.definitions import Definition, registration, removal
from tfo_mcp.plugins.host_limits import refusals
from tfo_mcp.plugins.lifespans import LifespanError, Lifespans, lifespans_in
from tfo_mcp.plugins.loader import PluginError, collect, imported_anew, load_plugins
from tfo_mcp.plugins.tracebacks import with_traceback
from tfo_mcp.value_objects import value_object

_Key = tuple[type[Definition], str]
_NOT_SELECTED = (
    "This server does not offer the tool: it is left out by its settings (tools.preset, tools.enabled, tools.disabled)."
)


@value_object
class Catalogs:
    """The catalogs of all kinds of definitions."""

    tools: Catalog[Tool] = field(default_factory=Catalog)
    resources: Catalog[Resource] = field(default_factory=Catalog)
    templates: Catalog[ResourceTemplate] = field(default_factory=Catalog)
    prompts: Catalog[Prompt] = field(default_factory=Catalog)

    def put(self, definition: Definition) -> None:
        """Add a definition, replacing one with the same key, without notifying clients."""
        match definition:
            case Tool():
                self.tools.put(definition)
            case Prompt():
                self.prompts.put(definition)
            case Resource():
                self.resources.put(definition)
            case ResourceTemplate():
                self.templates.put(definition)


class Definitions:
    """The definitions of the built-in modules and the plugins.

    Args:
        roots: the roots in effect; without any, the tools and resources that need roots are not registered.
        tracebacks: whether results of plugins' tools show the traceback of a failure, for their author.

    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigurationError: the settings select a tool that does not exist.
    """

    def __init__(self, settings: Settings, roots: ServedRoots, *, tracebacks: bool = False) -> None:
        prepare_imports(settings, roots.paths)
        self._roots = roots
        has_files = bool(roots.paths) or roots.from_client
        served = builtin.MODULES if has_files else builtin.MODULES_ANYWHERE
        self._builtin = (*served, *_telemetry_modules(settings))
        self._plugins = tuple(settings.mcp.plugins)
        self._tracebacks = tracebacks
        modules = load_plugins(self._plugins)
        self._lifespans = Lifespans(lifespans_in(modules))
        self._use(settings, self._collected(modules))

    async def start(self) -> None:
        """Begin the lifespans of the plugins; a no-op after the first time.

        Raises:
            PluginError: a lifespan fails.
        """
        await _begin(self._lifespans)

    async def aclose(self) -> None:
        """End the lifespans of the plugins."""
        await self._lifespans.aclose()

    def offers(self, tool: Tool) -> bool:
        """Return whether the settings in effect offer the tool."""
        return self._selection.offers(tool)

    def unavailable(self, name: str) -> str | None:
        """Return for clients why a known tool is not offered; None for other names."""
        return self._unavailable.get(name)

    def fill(self, catalogs: Catalogs, others: Iterable[Definition]) -> Catalogs:
        """Add all definitions and the others to the catalogs, and return the catalogs."""
        for definition in (*self._offered, *others):
            catalogs.put(definition)
        return catalogs

    async def change(self, settings: Settings, catalogs: Catalogs, bus: Bus) -> None:
        """Reload the plugins that the settings name, and update the catalogs; on failure nothing changes.

        Raises:
            PluginError: a plugin cannot be loaded.
            ConfigurationError: the settings select a tool that does not exist.
        """
        prepare_imports(settings, self._roots.paths)
        with imported_anew({*self._plugins, *settings.mcp.plugins}):
            modules = load_plugins(settings.mcp.plugins)
            collected = self._collected(modules)
            lifespans = Lifespans(lifespans_in(modules))
            await _begin(lifespans)
        before = _by_key(self._offered)
        self._plugins = tuple(settings.mcp.plugins)
        try:
            self._use(settings, collected)
        except ConfigurationError:
            await lifespans.aclose()
            raise
        after = _by_key(self._offered)
        for key in before.keys() - after.keys():
            await bus.handle(removal(before[key]))
        for key, definition in after.items():
            if key in before and _shown(before[key]) == _shown(definition):
                catalogs.put(definition)
            else:
                await bus.handle(registration(definition))
        ending, self._lifespans = self._lifespans, lifespans
        await ending.aclose()

    def _collected(self, plugins: Sequence[ModuleType]) -> tuple[Definition, ...]:
        if not self._tracebacks:
            return collect([*self._builtin, *plugins])
        own = {(type(one), one.key) for one in collect(self._builtin)}
        return tuple(
            one if (type(one), one.key) in own else with_traceback(one) for one in collect([*self._builtin, *plugins])
        )

    def _use(self, settings: Settings, collected: Sequence[Definition]) -> None:
        selection = selection_of(settings)
        tools = [one for one in collected if isinstance(one, Tool)]
        beneath_roots = () if self._roots.reason is None else _tools_of(builtin.MODULES_BENEATH_ROOTS)
        if selection.enabled or selection.disabled:
            _require_known(selection, [*(tool.name for tool in tools), *_tools_of(_all_modules())])
        self._unavailable = {
            **dict.fromkeys(beneath_roots, NO_ROOTS),
            **{tool.name: _NOT_SELECTED for tool in tools if not selection.offers(tool)},
        }
        self._selection = selection
        self._offered = tuple(one for one in collected if not isinstance(one, Tool) or selection.offers(one))


def _telemetry_modules(settings: Settings) -> Sequence[ModuleType]:
    """Return the modules of the telemetry tools if there is a store; they are imported for it only."""
    return _all_modules()[len(builtin.MODULES) :] if settings.telemetry.store not in (None, "off") else ()


def _all_modules() -> Sequence[ModuleType]:
    """Return all built-in modules, those of telemetry last."""
    from tfo_mcp.builtin import telemetry

    return (*builtin.MODULES, *telemetry.MODULES)


async def _begin(lifespans: Lifespans) -> None:
    try:
        await lifespans.start()
    except LifespanError as problem:
        raise PluginError(str(problem)) from None


def host_refusals(settings: Settings) -> Sequence[str]:
    """Return what named hosts refuse among the tools that these settings offer.

    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigurationError: the settings select a tool that does not exist.
    """
    tools = Definitions(settings, served_roots(settings)).fill(Catalogs(), ()).tools
    return list(refusals(list(tools)))


def selection_of(settings: Settings) -> ToolSelection:
    """Return the selection of tools in the settings."""
    tools = settings.tools
    return ToolSelection(_preset(tools.preset), tuple(tools.enabled), tuple(tools.disabled))


def _preset(name: str) -> Callable[[Tool], bool] | None:
    """Return a preset: `files` and `coding` choose among the built-in tools, and keep those of plugins."""
    match name:
        case "read-only":
            return lambda tool: tool.hints is not None and tool.hints.read_only
        case "files":
            return _only(builtin.FILE_MODULES)
        case "coding":
            return _only(builtin.CODING_MODULES)
    return None


def _only(modules: Sequence[ModuleType]) -> Callable[[Tool], bool]:
    others = _tools_of(_all_modules()) - _tools_of(modules)
    return lambda tool: tool.name not in others


def _tools_of(modules: Iterable[ModuleType]) -> frozenset[str]:
    return frozenset(one.name for one in collect(modules) if isinstance(one, Tool))


def _require_known(selection: ToolSelection, names: Sequence[str]) -> None:
    """Check that each pattern of the selection matches a tool.

    Raises:
        ConfigurationError: one matches no tool; the message suggests a name.
    """
    for pattern in selection.unmatched(names):
        close = get_close_matches(pattern, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        setting = "tools.enabled" if pattern in selection.enabled else "tools.disabled"
        raise ConfigurationError((f"{setting}: no tool matches {pattern!r}{hint}",))


def _by_key(definitions: Iterable[Definition]) -> Mapping[_Key, Definition]:
    return {(type(definition), definition.key): definition for definition in definitions}


def _shown(definition: Definition) -> Mapping[str, object]:
    """Return the client-visible values of a definition: everything except its functions."""
    values = {each.name: getattr(definition, each.name) for each in fields(definition) if each.compare}
    return {name: value for name, value in values.items() if not callable(value) and name != "completers"}
