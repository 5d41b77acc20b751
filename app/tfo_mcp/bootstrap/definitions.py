"""Definitions: registers the tools, resources and prompts of the built-in modules and of plugins in the catalogs.

Tools that the settings leave out are not registered. The built-in modules are imported when a client first asks for a
definition, unless `import_builtins` has done so: a host waits for the response to `initialize`, which needs none. A
reload imports the plugins again, and notifies clients of definitions that were added, removed or changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
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
_ALL_MODULES = (*builtin.MODULES, *builtin.TELEMETRY_MODULES)
_NOT_SELECTED = (
    "This server does not offer the tool: it is left out by its settings (tools.preset, tools.enabled, tools.disabled)."
)


class Catalogs:
    """The catalogs of all kinds of definitions.

    Args:
        first: returns the first definitions; called once, at the first access to any of the catalogs.
    """

    def __init__(self, first: Callable[[], Iterable[Definition]] = tuple) -> None:
        self._first: Callable[[], Iterable[Definition]] = first
        self.tools: Catalog[Tool] = Catalog(self._fill)
        self.resources: Catalog[Resource] = Catalog(self._fill)
        self.templates: Catalog[ResourceTemplate] = Catalog(self._fill)
        self.prompts: Catalog[Prompt] = Catalog(self._fill)

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

    def _fill(self) -> None:
        first, self._first = self._first, tuple
        for definition in first():
            self.put(definition)


@value_object
class _Offer:
    """What the settings in effect offer; `unavailable` gives for clients why a known tool is left out."""

    selection: ToolSelection
    definitions: tuple[Definition, ...]
    unavailable: Mapping[str, str]


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
        self._settings = settings
        self._plugins = tuple(settings.mcp.plugins)
        self._tracebacks = tracebacks
        modules = load_plugins(self._plugins)
        self._lifespans = Lifespans(lifespans_in(modules))
        self._offer: _Offer | None = None
        if modules or settings.tools.enabled or settings.tools.disabled:  # a mistake in these ends the start
            self._offer = self._offer_of(settings, modules)

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
        return self._in_effect().selection.offers(tool)

    def unavailable(self, name: str) -> str | None:
        """Return for clients why a known tool is not offered; None for other names."""
        return self._in_effect().unavailable.get(name)

    def offered(self) -> tuple[Definition, ...]:
        """Return the definitions that the settings in effect offer."""
        return self._in_effect().definitions

    async def change(self, settings: Settings, catalogs: Catalogs, bus: Bus) -> None:
        """Reload the plugins that the settings name, and update the catalogs; on failure nothing changes.

        Raises:
            PluginError: a plugin cannot be loaded.
            ConfigurationError: the settings select a tool that does not exist.
        """
        prepare_imports(settings, self._roots.paths)
        with imported_anew({*self._plugins, *settings.mcp.plugins}):
            modules = load_plugins(settings.mcp.plugins)
            offer = self._offer_of(settings, modules)
            lifespans = Lifespans(lifespans_in(modules))
            await _begin(lifespans)
        before, after = _by_key(self.offered()), _by_key(offer.definitions)
        self._plugins = tuple(settings.mcp.plugins)
        self._offer = offer
        for key in before.keys() - after.keys():
            await bus.handle(removal(before[key]))
        for key, definition in after.items():
            if key in before and _shown(before[key]) == _shown(definition):
                catalogs.put(definition)
            else:
                await bus.handle(registration(definition))
        ending, self._lifespans = self._lifespans, lifespans
        await ending.aclose()

    def _in_effect(self) -> _Offer:
        if self._offer is None:
            self._offer = self._offer_of(self._settings, ())
        return self._offer

    def _offer_of(self, settings: Settings, plugins: Sequence[ModuleType]) -> _Offer:
        """Return what the settings offer, with imported plugins.

        Raises:
            PluginError: two modules define the same tool, resource or prompt.
            ConfigurationError: the settings select a tool that does not exist.
        """
        collected = self._collected(plugins)
        selection = selection_of(settings)
        tools = [one for one in collected if isinstance(one, Tool)]
        beneath_roots = () if self._roots.reason is None else _tools_of(builtin.MODULES_BENEATH_ROOTS)
        if selection.enabled or selection.disabled:
            _require_known(selection, [*(tool.name for tool in tools), *_tools_of(_ALL_MODULES)])
        unavailable = {
            **dict.fromkeys(beneath_roots, NO_ROOTS),
            **{tool.name: _NOT_SELECTED for tool in tools if not selection.offers(tool)},
        }
        offered = tuple(one for one in collected if not isinstance(one, Tool) or selection.offers(one))
        return _Offer(selection, offered, unavailable)

    def _collected(self, plugins: Sequence[ModuleType]) -> tuple[Definition, ...]:
        own = self._builtin_modules()
        if not self._tracebacks:
            return collect([*own, *plugins])
        known = {(type(one), one.key) for one in collect(own)}
        return tuple(one if (type(one), one.key) in known else with_traceback(one) for one in collect([*own, *plugins]))

    def _builtin_modules(self) -> tuple[ModuleType, ...]:
        """Import the built-in modules that this server has."""
        has_files = bool(self._roots.paths) or self._roots.from_client
        return builtin.loaded(_builtin_names(self._settings, has_files=has_files))


def import_builtins(settings: Settings) -> None:
    """Import the built-in modules, for a server with many clients: one that asks first would hold up the others."""
    builtin.loaded(_builtin_names(settings, has_files=True))


def _builtin_names(settings: Settings, *, has_files: bool) -> tuple[str, ...]:
    """Return the names of the built-in modules; those of telemetry are imported if there is a store."""
    served = builtin.MODULES if has_files else builtin.MODULES_ANYWHERE
    return (*served, *(builtin.TELEMETRY_MODULES if settings.telemetry.store not in (None, "off") else ()))


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
    offered = Definitions(settings, served_roots(settings)).offered()
    return list(refusals([one for one in offered if isinstance(one, Tool)]))


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


def _only(modules: Sequence[str]) -> Callable[[Tool], bool]:
    others = _tools_of(_ALL_MODULES) - _tools_of(modules)
    return lambda tool: tool.name not in others


def _tools_of(modules: Iterable[str]) -> frozenset[str]:
    return frozenset(one.name for one in collect(builtin.loaded(modules)) if isinstance(one, Tool))


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
