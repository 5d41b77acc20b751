"""A directory to search, and which protected files in it are excluded.

The search program gets exclusion patterns for the server's own files, which no ignore file overrides. Its findings are
filtered again by path and by file identity. Knows descriptors and paths; must not know the program.
"""

import glob
from collections.abc import Iterable

from tfo_mcp.infrastructure.files.path_resolution import status_beneath
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of
from tfo_mcp.value_objects import value_object


@value_object
class ResultPage:
    """Which results of a search are returned: at most `most`, after the first `skip`."""

    most: int
    skip: int = 0


@value_object
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

    def names_from_root(self) -> list[str]:
        """Return the names on the way from the root to the directory; none if it has been moved out of the root."""
        root, here = path_of(self.root).rstrip("/") + "/", path_of(self.directory) + "/"
        return here[len(root) :].split("/")[:-1] if here.startswith(root) else []

    def not_hidden(self, names: Iterable[str]) -> Iterable[str]:
        """Return the relative paths that are not protected; those of directories may end with a slash."""
        above, linked = path_of(self.directory).rstrip("/"), self.protected.linked_files()
        if not linked and next(self.protected.names_beneath(above or "/"), None) is None:
            return names
        at, is_other_name = self.protected.at, self._is_other_name
        return (
            name
            for name in names
            if at(f"{above}/{name.rstrip('/')}") is None and not (linked and is_other_name(name.rstrip("/")))
        )

    def hides(self, name: str) -> bool:
        """Return whether the file at a relative path is protected."""
        return self.protected.at(f"{path_of(self.directory).rstrip('/')}/{name}") is not None or self._is_other_name(
            name
        )

    def _is_other_name(self, name: str) -> bool:
        status = status_beneath(self.directory, name)
        return status is not None and self.protected.with_other_name(status) is not None
