"""A directory to search, and which protected files in it are excluded.

The search program gets exclusion patterns for the server's own files, which no ignore file overrides. Its findings are
filtered again by path and by file identity. Knows descriptors and paths; must not know the program.
"""

import glob
from collections.abc import Iterable
from dataclasses import dataclass

from tfo_mcp.infrastructure.files.path_resolution import status_beneath
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of


@dataclass(frozen=True, slots=True)
class Searched:
    """A directory to search: its descriptor and absolute path; `root` is the descriptor of the root that it lies in.

    Ignore files between the root and the directory apply.
    """

    directory: int
    path: str
    root: int
    protected: Protected

    def exclusions(self) -> list[str]:
        """Return exclusion globs, relative to the directory, for the protected files in it."""
        return [f"!/{glob.escape(name)}{rest}" for name, rest in self.protected.names_beneath(path_of(self.directory))]

    def not_hidden(self, names: Iterable[str]) -> Iterable[str]:
        """Return the relative paths of files that are not protected."""
        above, linked = path_of(self.directory).rstrip("/"), self.protected.linked_files()
        if not linked and next(self.protected.names_beneath(above or "/"), None) is None:
            return names
        at, is_other_name = self.protected.at, self._is_other_name
        return (name for name in names if at(f"{above}/{name}") is None and not (linked and is_other_name(name)))

    def hides(self, name: str) -> bool:
        """Return whether the file at a relative path is protected."""
        return self.protected.at(f"{path_of(self.directory).rstrip('/')}/{name}") is not None or self._is_other_name(
            name
        )

    def _is_other_name(self, name: str) -> bool:
        status = status_beneath(self.directory, name)
        return status is not None and self.protected.with_other_name(status) is not None
