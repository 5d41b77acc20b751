"""The plan of covers: what a supervisor has to mount over so that a command reaches none of the server's own files.

Decides by paths alone, and refuses what no mount can hold. `covers` carries the plan out, in the supervisor.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from tfo_mcp.domain.errors import OutOfReach
from tfo_mcp.infrastructure.sandbox.policy import Cover, CoverKind
from tfo_mcp.infrastructure.sandbox.protected_place import ProtectedPlace, ancestors, first_missing, is_beneath

_STRENGTH: Mapping[CoverKind, int] = {"absent": 0, "fixed": 1, "read-only": 2, "hidden": 3}


@dataclass(frozen=True, slots=True)
class Trees:
    """What commands may use, as paths with links resolved: roots, those of them that may be changed, and `readable`."""

    roots: Sequence[str]
    writable: Sequence[str]
    readable: Sequence[str]


class CoverPlan:
    """Collects what has to be covered for commands that may use these trees; `settings` say what it comes from."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._covers: dict[str, Cover] = {}
        self.settings: dict[str, None] = {}

    def add(self, name: str, place: ProtectedPlace) -> None:
        """Cover a place at one of its names, and pin the directories on the way to it.

        Code matters beneath roots only: elsewhere commands read at most, and a setting says what.

        Raises:
            OutOfReach: it cannot be covered.
        """
        trees = (*self._trees.roots, *self._trees.readable) if place.kind == "secret" else self._trees.roots
        if not any(is_beneath(name, tree) for tree in trees):
            return
        self.settings[place.setting] = None
        target = self._directory_of(name, place, trees) if place.has_siblings else name
        if place.kind == "secret":
            with suppress(OSError):  # of a directory that is there, nothing that comes later is seen
                os.makedirs(target, 0o700, exist_ok=True)
        missing = first_missing(target)
        self._put(target, "absent" if missing else self._kind(target, place))
        for way in ancestors(missing or target):
            if any(way != tree and is_beneath(way, tree) for tree in trees):
                self._put(way, "fixed")

    def refuse_replaceable(self, links: Sequence[str], place: ProtectedPlace) -> None:
        """Check that commands can replace none of the links on the way to a place.

        Raises:
            OutOfReach: they can.
        """
        if any(is_beneath(link, tree) for link in links for tree in self._trees.writable):
            refuse(place, "is reached through a symbolic link that commands could replace")

    def result(self) -> tuple[Cover, ...]:
        """Return the covers; what is hidden hides all beneath it."""
        hidden = [path for path, cover in self._covers.items() if cover.kind == "hidden"]
        return tuple(
            cover
            for path, cover in self._covers.items()
            if not any(path != above and is_beneath(path, above) for above in hidden)
        )

    def _kind(self, target: str, place: ProtectedPlace) -> CoverKind:
        """Return how a place is covered: what the owner makes readable for commands is read all the same."""
        named = place.kind == "code" and any(is_beneath(path, target) for path in self._trees.readable)
        return "read-only" if named or place.kind == "program" else "hidden"

    @staticmethod
    def _directory_of(name: str, place: ProtectedPlace, trees: Sequence[str]) -> str:
        """Return the directory of a file whose siblings come and go: only the whole of it can be covered for good."""
        directory = os.path.dirname(name)
        if any(is_beneath(tree, directory) for tree in trees):
            refuse(place, "lies in a directory that commands use, not in one of its own")
        return directory

    def _put(self, path: str, kind: CoverKind) -> None:
        known = self._covers.get(path)
        if known is None or _STRENGTH[kind] > _STRENGTH[known.kind]:
            self._covers[path] = Cover(path, kind)


def refuse(place: ProtectedPlace, why: str) -> NoReturn:
    """Say why no commands can be run.

    Raises:
        OutOfReach: always.
    """
    raise OutOfReach(
        f"No commands are run here: what belongs to the server itself ({place.setting}) {why}. Move it out of what "
        "commands may use (files.roots, commands.readable)",
        "commands",
    )
