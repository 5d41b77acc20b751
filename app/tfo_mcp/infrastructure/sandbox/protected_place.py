"""A protected place, and the arithmetic of paths that finds what is one.

Paths are compared here as texts: they must be absolute, with links resolved by `resolved`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_MOST_LINKS = 40  # as Linux


@dataclass(frozen=True, slots=True)
class ProtectedPlace:
    """A file or directory of the server's own, by its absolute path, with the setting or fact that it comes from.

    `secret`: whoever reads or writes it is more than a caller; commands may not see the directory that it is in.
    `code`: what the server runs, and its configuration. `program`: code that commands run as well, and so may read.
    With `has_siblings` it is a file, and files beside it belong to it whose names begin with its own: rotated ones,
    locks, and new contents on their way.
    """

    path: str
    setting: str
    kind: Literal["secret", "code", "program"]
    has_siblings: bool = False


def resolved(path: str) -> tuple[str, tuple[str, ...]]:
    """Return where an absolute path leads, whether something is there or not, and the links on the way."""
    here, pending = "", os.path.abspath(path).split("/")[::-1]
    links: list[str] = []
    while pending and len(links) < _MOST_LINKS:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            here = here.rpartition("/")[0]
            continue
        entry = f"{here}/{part}"
        try:
            target = os.readlink(entry)
        except OSError:  # no link, or nothing
            here = entry
            continue
        links.append(entry)
        here = "" if target.startswith("/") else here
        pending += target.split("/")[::-1]
    return here or "/", tuple(links)


def ancestors(path: str) -> Iterator[str]:
    """Yield the directories above an absolute path, the nearest first, but for the top."""
    while path := path.rpartition("/")[0]:
        yield path


def first_missing(path: str) -> str | None:
    """Return the first directory or file on the way to a path, itself included, that is not there."""
    if os.path.lexists(path):
        return None
    return next((way for way in reversed([*ancestors(path)]) if not os.path.lexists(way)), path)


def is_beneath(path: str, tree: str) -> bool:
    """Tell whether a path is a directory, or beneath it."""
    return path == tree or path.startswith(tree.rstrip("/") + "/")
