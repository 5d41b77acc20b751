"""A directory that is searched, and what in it is not for the search.

The search program is told to leave the server's own files out, by patterns that no ignore file overrides; what it finds
is compared once more, by path and by identity. Knows descriptors and paths, not the program.
"""

import glob
from collections.abc import Iterable
from dataclasses import dataclass

from tfo_mcp.infrastructure.files.path_resolution import status_beneath
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of


@dataclass(frozen=True, slots=True)
class Searched:
    """A directory to search, as a descriptor, with its absolute path; `root` is its root, whose ignore files count."""

    directory: int
    path: str
    root: int
    protected: Protected

    def exclusions(self) -> list[str]:
        """Return globs, relative to the directory, of what lies in it and is protected."""
        return [f"!/{glob.escape(name)}{rest}" for name, rest in self.protected.names_beneath(path_of(self.directory))]

    def not_hidden(self, names: Iterable[str]) -> Iterable[str]:
        """Return the relative paths without those of what is protected."""
        above, linked = path_of(self.directory).rstrip("/"), self.protected.linked_files()
        if not linked and next(self.protected.names_beneath(above or "/"), None) is None:
            return names
        at, is_other_name = self.protected.at, self._is_other_name
        return (name for name in names if at(f"{above}/{name}") is None and not (linked and is_other_name(name)))

    def hides(self, name: str) -> bool:
        """Tell whether what was found at a relative path is protected."""
        return self.protected.at(f"{path_of(self.directory).rstrip('/')}/{name}") is not None or self._is_other_name(
            name
        )

    def _is_other_name(self, name: str) -> bool:
        status = status_beneath(self.directory, name)
        return status is not None and self.protected.with_other_name(status) is not None
