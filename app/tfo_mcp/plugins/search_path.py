"""Where plugins are imported from, and where nothing else is.

A directory that callers may write to must not be on the import path: whatever the server or a library imports late
could be put there. Such directories serve the plugins that are named, and nothing more, after everything that is
installed; compiled files that lie beside a plugin are not looked at. Once found, packages are imported as usual.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType


class PluginPath:
    """A finder that serves named top-level modules from directories, the first one that has it."""

    def __init__(self) -> None:
        self._directories: list[str] = []
        self._names: frozenset[str] = frozenset()

    def offer(self, directories: Iterable[str], modules: Iterable[str]) -> None:
        """Serve these modules, and no others, from these directories and those of earlier calls."""
        self._directories += [one for one in directories if one not in self._directories]
        self._names = frozenset(module.partition(".")[0] for module in modules)
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a named module is; None for any other.

        Raises:
            ImportError: several files could be meant.
        """
        if path is not None or name not in self._names:
            return None
        for directory in self._directories:
            candidates = [one for one in _relative_paths(name) if os.path.isfile(os.path.join(directory, one))]
            if len(candidates) > 1:
                raise ImportError(f"{' and '.join(candidates)} could all be meant: leave one")
            found = PathFinder.find_spec(name, [directory])
            if found is None:
                continue
            if isinstance(found.loader, SourceFileLoader) and found.submodule_search_locations is None:
                found.loader = _SourceOnly(name, found.loader.path)
            return found
        return None

    def possible_files(self) -> Iterator[str]:
        """Yield all paths at which a file would be taken for one of the modules, whether something is there or not."""
        for directory in self._directories:
            for name in self._names:
                for relative in _relative_paths(name):
                    yield os.path.join(directory, relative)


class _SourceOnly(SourceFileLoader):
    """Compiles the source each time: what lies in __pycache__ may be anybody's."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


PLUGIN_PATH = PluginPath()
"""The finder of this process, which has one import path."""


def withdraw(is_exposed: Callable[[str], bool]) -> list[str]:
    """Take the directories off the import path that callers may write to, and return them."""
    exposed = [entry for entry in sys.path if is_exposed(os.path.realpath(entry))]
    sys.path[:] = [entry for entry in sys.path if entry not in exposed]
    return [os.path.realpath(entry) for entry in exposed]


def _relative_paths(name: str) -> Iterator[str]:
    """Yield the files that could be a module."""
    for stem in (name, os.path.join(name, "__init__")):
        for suffix in (".py", ".pyc", *EXTENSION_SUFFIXES):
            yield stem + suffix
