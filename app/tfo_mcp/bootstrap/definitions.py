"""Definitions: registers the tools, resources and prompts of the built-in modules and of plugins in the catalogs.

A reload imports the plugins again, and notifies clients of definitions that were added, removed or changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from tfo_mcp import builtin
from tfo_mcp.application import commands
from tfo_mcp.application.bus import Bus
from tfo_mcp.application.catalog import Catalog
from tfo_mcp.bootstrap.protection import prepare_imports
from tfo_mcp.bootstrap.roots import NO_ROOTS, ServedRoots
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool
from tfo_mcp.infrastructure.config import Settings
from tfo_mcp.plugins.definitions import Definition
from tfo_mcp.plugins.loader import collect, imported_anew, load_plugins

_Key = tuple[type[Definition], str]


@dataclass(frozen=True, slots=True)
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

    Raises:
        PluginError: a plugin cannot be loaded.
    """

    def __init__(self, settings: Settings, roots: ServedRoots) -> None:
        prepare_imports(settings, roots.paths)
        self._roots = roots
        self._builtin = builtin.MODULES if roots.paths else builtin.MODULES_ANYWHERE
        self._plugins = tuple(settings.mcp.plugins)
        self._offered = collect([*self._builtin, *load_plugins(self._plugins)])

    def unavailable(self) -> Mapping[str, str]:
        """Return the built-in tools that are not registered for lack of roots, with the explanation for clients."""
        if self._roots.reason is None:
            return {}
        known = collect(builtin.MODULES_BENEATH_ROOTS)
        return {tool.name: NO_ROOTS for tool in known if isinstance(tool, Tool)}

    def fill(self, catalogs: Catalogs, others: Iterable[Definition]) -> Catalogs:
        """Add all definitions and the others to the catalogs, and return the catalogs."""
        for definition in (*self._offered, *others):
            catalogs.put(definition)
        return catalogs

    async def change(self, settings: Settings, catalogs: Catalogs, bus: Bus) -> None:
        """Reload the plugins that the settings name, and update the catalogs; on failure nothing changes.

        Raises:
            PluginError: a plugin cannot be loaded.
        """
        prepare_imports(settings, self._roots.paths)
        with imported_anew({*self._plugins, *settings.mcp.plugins}):
            offered = collect([*self._builtin, *load_plugins(settings.mcp.plugins)])
        before, after = _by_key(self._offered), _by_key(offered)
        self._plugins, self._offered = tuple(settings.mcp.plugins), offered
        for key in before.keys() - after.keys():
            await _remove(before[key], bus)
        for key, definition in after.items():
            if key in before and _shown(before[key]) == _shown(definition):
                catalogs.put(definition)
            else:
                await _register(definition, bus)


def _by_key(definitions: Iterable[Definition]) -> Mapping[_Key, Definition]:
    return {(type(definition), definition.key): definition for definition in definitions}


def _shown(definition: Definition) -> Mapping[str, object]:
    """Return the client-visible values of a definition: everything except its functions."""
    values = {each.name: getattr(definition, each.name) for each in fields(definition) if each.compare}
    return {name: value for name, value in values.items() if not callable(value) and name != "completers"}


async def _register(definition: Definition, bus: Bus) -> None:
    match definition:
        case Tool():
            await bus.handle(commands.RegisterTool(definition))
        case Prompt():
            await bus.handle(commands.RegisterPrompt(definition))
        case Resource() | ResourceTemplate():
            await bus.handle(commands.RegisterResource(definition))


async def _remove(definition: Definition, bus: Bus) -> None:
    match definition:
        case Tool():
            await bus.handle(commands.RemoveTool(definition.name))
        case Prompt():
            await bus.handle(commands.RemovePrompt(definition.name))
        case Resource() | ResourceTemplate():
            await bus.handle(commands.RemoveResource(definition.key))
