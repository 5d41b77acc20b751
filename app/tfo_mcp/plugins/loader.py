"""The loader: imports plugin modules and collects the definitions that their decorators created.

Modules come from the setting `mcp.plugins` and from entry points of the group `tfo_mcp.plugins`. A module that cannot
be imported causes one error that names it.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from types import ModuleType

from tfo_mcp.domain.errors import DomainError
from tfo_mcp.domain.failures import short_text, summary
from tfo_mcp.domain.prompt import Prompt
from tfo_mcp.domain.resource import Resource, ResourceTemplate
from tfo_mcp.domain.tool import Tool
from tfo_mcp.plugins.definitions import Definition, definition_of, is_marked

ENTRY_POINT_GROUP = "tfo_mcp.plugins"
_WORDS = {Tool: "tool", Prompt: "prompt", Resource: "resource", ResourceTemplate: "resource template"}


class PluginError(Exception):
    """A plugin cannot be loaded; the message names it and says why."""


def load_plugins(modules: Iterable[str]) -> list[ModuleType]:
    """Import the named modules, then the modules of all entry points, and return them in this order.

    Raises:
        PluginError: a module cannot be imported.
    """
    named = [(module, module) for module in modules]
    return [_import(name, module) for name, module in (*named, *installed_plugins())]


def installed_plugins(*, look_again: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the names and modules of all entry points; cached per import path unless `look_again` is true."""
    if look_again:
        _installed_on.cache_clear()
    return _installed_on(tuple(sys.path))


@cache
def _installed_on(_path: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((point.name, point.value.partition(":")[0]) for point in entry_points(group=ENTRY_POINT_GROUP))


def plugin_modules(named: Iterable[str]) -> list[str]:
    """Return the names of all plugin modules: the named ones and those of all entry points."""
    return [*named, *(module for _, module in installed_plugins())]


@contextmanager
def imported_anew(modules: Iterable[str]) -> Iterator[None]:
    """Remove these modules and their submodules from `sys.modules` for a fresh import; restore them on failure."""
    named = frozenset(modules)
    old = _forget(named)
    try:
        yield
    except BaseException:
        _forget(named)
        sys.modules.update(old)
        raise


def collect(modules: Iterable[ModuleType]) -> tuple[Definition, ...]:
    """Return the definitions of the decorated functions in these modules, without duplicates.

    Raises:
        PluginError: two different functions define the same tool, resource or prompt.
    """
    found: dict[tuple[str, str], tuple[Definition, str]] = {}
    for module in modules:
        for value in vars(module).values():
            if not is_marked(value):
                continue
            definition = definition_of(value)
            identity = (_WORDS[type(definition)], definition.key)
            known = found.setdefault(identity, (definition, module.__name__))
            if known[0] is not definition:
                word, key = identity
                raise PluginError(f"{module.__name__} defines the {word} {key!r}, which {known[1]} already defines")
    return tuple(definition for definition, _ in found.values())


def is_without_definitions(module: str) -> bool:
    """Return whether an imported plugin has no decorated function."""
    return not any(map(is_marked, vars(sys.modules[module]).values()))


def _import(name: str, module: str) -> ModuleType:
    if module.partition(".")[0] in sys.stdlib_module_names:  # imported instead of the file of the plugin
        raise PluginError(f"Plugin {name!r} has the name of a module of Python: rename the file and the plugin")
    try:
        return import_module(module)
    except DomainError as problem:
        raise PluginError(f"Plugin {name!r} cannot be loaded: {short_text(problem)}") from problem
    except BaseException as problem:  # a module may raise SystemExit as well
        raise PluginError(f"Plugin {name!r} cannot be imported: {summary(problem)}") from problem


def _forget(modules: frozenset[str]) -> dict[str, ModuleType]:
    """Remove the modules and their submodules from `sys.modules` and return them."""
    invalidate_caches()
    names = [name for name in sys.modules if any(name == own or name.startswith(f"{own}.") for own in modules)]
    return {name: sys.modules.pop(name) for name in names}
