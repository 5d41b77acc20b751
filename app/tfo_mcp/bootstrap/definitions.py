"""Definitions: the built-in tools, resources and prompts and those of plugins, in the catalogs that serve them.

A reload imports the plugins again, and tells clients of what has come, gone or looks different.
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
    """What is offered, by kind."""

    tools: Catalog[Tool] = field(default_factory=Catalog)
    resources: Catalog[Resource] = field(default_factory=Catalog)
    templates: Catalog[ResourceTemplate] = field(default_factory=Catalog)
    prompts: Catalog[Prompt] = field(default_factory=Catalog)

    def put(self, definition: Definition) -> None:
        """Offer it, in place of one of the same name, and tell nobody."""
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
    """What the built-in modules and the plugins define.

    Args:
        roots: those in effect; without any, what works beneath roots is not offered.

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
        """Return the names of the built-in tools that are not offered, and what they need."""
        if self._roots.reason is None:
            return {}
        known = collect(builtin.MODULES_BENEATH_ROOTS)
        return {tool.name: NO_ROOTS for tool in known if isinstance(tool, Tool)}

    def fill(self, catalogs: Catalogs, others: Iterable[Definition]) -> Catalogs:
        """Offer everything, and the others."""
        for definition in (*self._offered, *others):
            catalogs.put(definition)
        return catalogs

    async def change(self, settings: Settings, catalogs: Catalogs, bus: Bus) -> None:
        """Offer what the plugins define now, as the settings name them; on failure all stays as it was.

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
    """Return what clients see of it: everything but the functions behind it."""
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
