"""Plans the covers: the mounts by which a supervisor hides the server's own files from a command.

Works on paths alone, and refuses layouts that no mount can protect. `covers` carries out the plan in the supervisor.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from tfo_mcp.domain.errors import OutOfReach
from tfo_mcp.infrastructure.sandbox.policy import Cover, CoverKind
from tfo_mcp.infrastructure.sandbox.protected_place import ProtectedPlace, ancestors, first_missing, is_beneath
from tfo_mcp.value_objects import value_object

_STRENGTH: Mapping[CoverKind, int] = {"absent": 0, "fixed": 1, "read-only": 2, "hidden": 3}


@value_object
class Trees:
    """The directories that commands may use, as resolved paths: all roots, the writable ones, and `readable`."""

    roots: Sequence[str]
    writable: Sequence[str]
    readable: Sequence[str]


class CoverPlan:
    """Collects the covers for commands that may use these trees; `settings` are the settings that require them."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._covers: dict[str, Cover] = {}
        self.settings: dict[str, None] = {}

    def add(self, name: str, place: ProtectedPlace) -> None:
        """Cover a place at one of its paths, and pin its ancestor directories.

        Code needs covers only beneath roots: elsewhere commands can at most read, as `commands.readable` allows.

        Raises:
            OutOfReach: the place cannot be covered.
        """
        trees = (*self._trees.roots, *self._trees.readable) if place.kind == "secret" else self._trees.roots
        if not any(is_beneath(name, tree) for tree in trees):
            return
        self.settings[place.setting] = None
        target = self._directory_of(name, place, trees) if place.has_siblings else name
        if place.kind == "secret":
            with suppress(OSError):  # covering an existing directory also hides files that are created later
                os.makedirs(target, 0o700, exist_ok=True)
        missing = first_missing(target)
        self._put(target, "absent" if missing else self._kind(target, place))
        for way in ancestors(missing or target):
            if any(way != tree and is_beneath(way, tree) for tree in trees):
                self._put(way, "fixed")

    def refuse_replaceable(self, links: Sequence[str], place: ProtectedPlace) -> None:
        """Check that commands cannot replace any of the symbolic links that lead to a place.

        Raises:
            OutOfReach: they can replace one.
        """
        if any(is_beneath(link, tree) for link in links for tree in self._trees.writable):
            refuse(place, "is reached through a symbolic link that commands could replace")

    def result(self) -> tuple[Cover, ...]:
        """Return the covers, without those beneath a hidden directory."""
        hidden = [path for path, cover in self._covers.items() if cover.kind == "hidden"]
        return tuple(
            cover
            for path, cover in self._covers.items()
            if not any(path != above and is_beneath(path, above) for above in hidden)
        )

    def _kind(self, target: str, place: ProtectedPlace) -> CoverKind:
        """Return how a place is covered: code that the owner lists in `commands.readable` stays readable."""
        named = place.kind == "code" and any(is_beneath(path, target) for path in self._trees.readable)
        return "read-only" if named or place.kind == "program" else "hidden"

    @staticmethod
    def _directory_of(name: str, place: ProtectedPlace, trees: Sequence[str]) -> str:
        """Return the directory of a file with siblings, which must be covered as a whole, as siblings come and go."""
        directory = os.path.dirname(name)
        if any(is_beneath(tree, directory) for tree in trees):
            refuse(place, "is in a directory that commands use, not in a directory of its own")
        return directory

    def _put(self, path: str, kind: CoverKind) -> None:
        known = self._covers.get(path)
        if known is None or _STRENGTH[kind] > _STRENGTH[known.kind]:
            self._covers[path] = Cover(path, kind)


def refuse(place: ProtectedPlace, why: str) -> NoReturn:
    """Report why no commands can run.

    Raises:
        OutOfReach: always.
    """
    raise OutOfReach(
        f"No commands are run here: a file that belongs to the server itself ({place.setting}) {why}. Move it out of "
        "the directories that commands may use (files.roots, commands.readable)",
        "commands",
    )
