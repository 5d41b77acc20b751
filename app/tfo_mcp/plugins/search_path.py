"""Import path for plugins, which keeps caller-writable directories off the normal import path.

A directory that callers may write to must not be on `sys.path`: they could plant a module that the server or a library
imports later. Such directories provide only the named plugins, with lower precedence than installed packages. Compiled
files next to a plugin are ignored. Submodules of a plugin package are imported as usual.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType


class PluginPath:
    """A meta path finder that finds named top-level modules in a list of directories; the first match wins."""

    def __init__(self) -> None:
        self._directories: list[str] = []
        self._names: frozenset[str] = frozenset()

    def offer(self, directories: Iterable[str], modules: Iterable[str]) -> None:
        """Set the modules that may be found, and add directories to search; installs the finder on first use."""
        self._directories += [one for one in directories if one not in self._directories]
        self._names = frozenset(module.partition(".")[0] for module in modules)
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a named top-level module, None for all other modules.

        Raises:
            ImportError: several files in one directory could be the module.
        """
        if path is not None or name not in self._names:
            return None
        for directory in self._directories:
            candidates = [one for one in _relative_paths(name) if os.path.isfile(os.path.join(directory, one))]
            if len(candidates) > 1:
                raise ImportError(f"{' and '.join(candidates)} are ambiguous: keep only one")
            found = PathFinder.find_spec(name, [directory])
            if found is None:
                continue
            if isinstance(found.loader, SourceFileLoader) and found.submodule_search_locations is None:
                found.loader = _SourceOnly(name, found.loader.path)
            return found
        return None

    def possible_files(self) -> Iterator[str]:
        """Yield all paths at which a file would be imported as one of the modules, whether or not it exists."""
        for directory in self._directories:
            for name in self._names:
                for relative in _relative_paths(name):
                    yield os.path.join(directory, relative)


class _SourceOnly(SourceFileLoader):
    """Always compiles the source: __pycache__ could contain bytecode that a caller has planted."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


PLUGIN_PATH = PluginPath()
"""The finder of this process; a singleton like `sys.path`."""


def withdraw(is_exposed: Callable[[str], bool]) -> list[str]:
    """Remove the directories for which `is_exposed` is true from `sys.path`, and return their real paths."""
    exposed = [entry for entry in sys.path if is_exposed(os.path.realpath(entry))]
    sys.path[:] = [entry for entry in sys.path if entry not in exposed]
    return [os.path.realpath(entry) for entry in exposed]


def _relative_paths(name: str) -> Iterator[str]:
    """Yield the relative paths of the files that could be the module."""
    for stem in (name, os.path.join(name, "__init__")):
        for suffix in (".py", ".pyc", *EXTENSION_SUFFIXES):
            yield stem + suffix
