"""A protected place, and the path functions that locate it.

Paths are compared as text: they must be absolute, with links resolved by `resolved`.
"""

import os
from collections.abc import Iterator
from typing import Literal

from tfo_mcp.value_objects import value_object

_MOST_LINKS = 40  # as Linux


@value_object
class ProtectedPlace:
    """A file or directory of the server itself, by its absolute path; `setting` is the setting or fact that names it.

    `kind` is `secret` for files such as keys, whose reader or writer gains the server's authority; commands may not see
    the directory of a secret. It is `code` for code that the server runs and its configuration, and `program` for code
    that commands also run and may therefore read. `has_siblings` marks a file whose siblings are protected, too, if
    their names start with its own: rotated files, locks and temporary files.
    """

    path: str
    setting: str
    kind: Literal["secret", "code", "program"]
    has_siblings: bool = False


def resolved(path: str) -> tuple[str, tuple[str, ...]]:
    """Return the resolved form of an absolute path, which need not exist, and the links that were followed."""
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
        except OSError:  # not a link, or missing
            here = entry
            continue
        links.append(entry)
        here = "" if target.startswith("/") else here
        pending += target.split("/")[::-1]
    return here or "/", tuple(links)


def ancestors(path: str) -> Iterator[str]:
    """Yield the ancestor directories of an absolute path, nearest first, without `/`."""
    while path := path.rpartition("/")[0]:
        yield path


def first_missing(path: str) -> str | None:
    """Return the topmost missing component of a path as a path, None if the path exists."""
    if os.path.lexists(path):
        return None
    return next((way for way in reversed([*ancestors(path)]) if not os.path.lexists(way)), path)


def is_beneath(path: str, tree: str) -> bool:
    """Return whether a path equals `tree` or lies beneath it."""
    return path == tree or path.startswith(tree.rstrip("/") + "/")
