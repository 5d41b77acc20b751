"""Protected places: the server's own files, which no caller may reach, whatever root they lie beneath.

Owns where they are at the moment: by their paths with links resolved, under every name that a mount gives them, and by
identity where they have several names. Also which covers hold a command from them. Knows no tool, and no setting but by
the name that an error gives.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX
from tfo_mcp.infrastructure.sandbox.cover_plan import CoverPlan, Trees, refuse
from tfo_mcp.infrastructure.sandbox.mount_table import Mount, mount_table, other_names
from tfo_mcp.infrastructure.sandbox.protected_place import ProtectedPlace, ancestors, resolved

_LOOK_SECONDS = 1.0
_LOOK_AT_CODE_SECONDS = 10.0
_MOST_FILES = 200_000
_F_GETPATH = 50  # macOS
_PASS: int = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Found:
    """A place as it is now: its path with links resolved, all its names, and the links on the way to it."""

    place: ProtectedPlace
    real: str
    names: tuple[str, ...]
    links: tuple[str, ...]


class _View:
    """Where all places are at one moment."""

    def __init__(self, places: Sequence[ProtectedPlace]) -> None:
        mounts = mount_table() if places else ()
        self.found = tuple(_find(place, mounts) for place in places)
        self.by_name: dict[str, ProtectedPlace] = {}
        self.siblings: dict[str, list[tuple[str, ProtectedPlace]]] = {}
        self.children: dict[str, set[str]] = {}
        self.ways: dict[str, ProtectedPlace] = {}
        for found in self.found:
            for name in found.names:
                self._add(name, found)
        self.beneath = tuple(f"{name}/" for name in self.by_name)
        self.linked: frozenset[int] | None = None

    def _add(self, name: str, found: _Found) -> None:
        self.by_name.setdefault(name, found.place)
        directory, _, own = name.rpartition("/")
        self.children.setdefault(directory or "/", set()).add(own)
        if found.place.has_siblings:
            self.siblings.setdefault(directory, []).append((own, found.place))
        for way in (*ancestors(name), *found.links):
            self.ways.setdefault(way, found.place)


class Protected:
    """The places of one server. May be used by many threads."""

    def __init__(self, places: Sequence[ProtectedPlace]) -> None:
        self._places = tuple(places)
        self._view = _View(self._places)
        self._next = monotonic() + _LOOK_SECONDS
        self._code: frozenset[Identity] = frozenset()
        self._next_code = 0.0

    def replace(self, places: Sequence[ProtectedPlace]) -> None:
        """Protect these places from now on."""
        self._places, self._next_code = tuple(places), 0.0
        self._now(at_once=True)

    def at(self, path: str) -> ProtectedPlace | None:
        """Return the place that a path, with links resolved, lies in, or is."""
        view = self._now()
        if path in view.by_name:
            return view.by_name[path]
        if path.startswith(view.beneath):
            return next(place for name, place in view.by_name.items() if path.startswith(f"{name}/"))
        if view.siblings:
            directory, _, own = path.rpartition("/")
            for base, place in view.siblings.get(directory, ()):
                if _is_sibling(own, base):
                    return place
        return None

    def beneath(self, path: str) -> ProtectedPlace | None:
        """Return a place that lies beneath a path, with links resolved, or is reached through the link there."""
        return self._now().ways.get(path)

    def hidden_in(self, directory: str) -> Callable[[str], bool] | None:
        """Return what tells whether a name in a directory, links resolved, is hidden; None when none is."""
        view = self._now()
        names, siblings = view.children.get(directory), view.siblings.get(directory.rstrip("/"), ())
        if names is None:
            return (lambda _: True) if self.at(directory) is not None else None
        return lambda name: name in names or any(_is_sibling(name, base) for base, _ in siblings)

    def names_beneath(self, directory: str) -> Iterator[tuple[str, str]]:
        """Yield the relative paths of the places beneath a directory, each with a glob for what belongs to it."""
        view, top = self._now(), directory.rstrip("/") + "/"
        for name in view.by_name:
            if name.startswith(top):
                yield name[len(top) :], ""
        for above, names in view.siblings.items():
            if f"{above}/".startswith(top):
                for base, _ in names:
                    relative = f"{above}/{base}"[len(top) :]
                    hidden = f"{above}/.{base}"[len(top) :]
                    yield from ((relative, ".*"), (relative, "-*"), (hidden, ".*"))

    def with_other_name(self, status: os.stat_result) -> ProtectedPlace | None:
        """Return the place that a file with this status belongs to under another name (a hard link).

        Elsewhere than on Linux another name may also be the same one in capital letters.
        """
        if (IS_LINUX and status.st_nlink < 2) or not stat.S_ISREG(status.st_mode) or not self._places:
            return None
        identity = status.st_dev, status.st_ino
        for place, own in self._secret_files():
            if own == identity:
                return place
        if identity in self._code_files():
            return next(place for place in self._places if place.kind != "secret")
        return None

    def linked_files(self) -> frozenset[int]:
        """Return the inode numbers of the secret files that have several names."""
        view = self._now()
        if view.linked is None:
            view.linked = frozenset(identity[1] for _, identity in self._secret_files(linked=True))
        return view.linked

    def require_outside(self, path: str, directory: int) -> None:
        """Check that a directory that is to be served is none of the places, and lies in none.

        Raises:
            ValueError: it does; the message names the setting.
        """
        identities = {identity: found.place for found in self._now().found if (identity := _directory(found.real))}
        place = self.at(path_of(directory)) or _holder(directory, identities)
        if place is not None:
            raise ValueError(
                f"files.roots: {path!r} is, or lies in, a directory of the server's own ({place.setting}): "
                "serve another one, or move that"
            )

    def plan(self, trees: Trees) -> CoverPlan:
        """Return what has to be covered so that a command which may use these trees reaches none of the places.

        Raises:
            OutOfReach: it cannot be done; the message names the setting.
        """
        plan = CoverPlan(trees)
        for found in self._now(at_once=True).found:
            plan.refuse_replaceable([link for link in found.links if self.at(link) is None], found.place)
            for name in found.names:
                plan.add(name, found.place)
        for place, _ in self._secret_files(linked=True):
            refuse(place, "has several names (hard links)")
        return plan

    def _now(self, *, at_once: bool = False) -> _View:
        now = monotonic()
        if at_once or now >= self._next:
            self._view, self._next = _View(self._places), now + _LOOK_SECONDS
        return self._view

    def _secret_files(self, *, linked: bool = False) -> Iterator[tuple[ProtectedPlace, Identity]]:
        for found in self._now().found:
            if found.place.kind == "secret":
                for identity, is_linked in _files_of(found):
                    if is_linked or not linked:
                        yield found.place, identity

    def _code_files(self) -> frozenset[Identity]:
        now = monotonic()
        if now >= self._next_code:
            code = (found for found in self._now().found if found.place.kind != "secret")
            self._code = frozenset(identity for found in code for identity, _ in _files_of(found))
            self._next_code = now + _LOOK_AT_CODE_SECONDS
        return self._code


NOTHING = Protected(())
"""The places of a server that has nothing to protect."""


def path_of(descriptor: int) -> str:
    """Return the path, with links resolved, that an open file or directory has at the moment."""
    if IS_LINUX:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    import fcntl

    return os.fsdecode(fcntl.fcntl(descriptor, _F_GETPATH, bytes(1024)).rstrip(b"\0"))


def _find(place: ProtectedPlace, mounts: Sequence[Mount]) -> _Found:
    real, links = resolved(place.path)
    return _Found(place, real, (real, *other_names(real, mounts)), links)


def _is_sibling(name: str, base: str) -> bool:
    return name.startswith((f"{base}.", f"{base}-", f".{base}."))


def _files_of(found: _Found) -> Iterator[tuple[Identity, bool]]:
    """Yield the identities of a place's files, each with whether it has several names."""
    pending, count = [found.real], 0
    if found.place.has_siblings:
        directory, own = os.path.split(found.real)
        with suppress(OSError):
            pending += [os.path.join(directory, name) for name in os.listdir(directory) if _is_sibling(name, own)]
    while pending and count < _MOST_FILES:
        path = pending.pop()
        with suppress(OSError):
            status = os.stat(path, follow_symlinks=False)
            count += 1
            if stat.S_ISREG(status.st_mode):
                yield (status.st_dev, status.st_ino), status.st_nlink > 1
            elif stat.S_ISDIR(status.st_mode):
                pending += [os.path.join(path, name) for name in os.listdir(path)]


def _directory(path: str) -> Identity | None:
    with suppress(OSError):
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return status.st_dev, status.st_ino
    return None


def _holder(directory: int, identities: dict[Identity, ProtectedPlace]) -> ProtectedPlace | None:
    """Return the place that a directory is, or lies in, whatever their names."""
    here, last = os.dup(directory), None
    try:
        while True:
            status = os.fstat(here)
            own = status.st_dev, status.st_ino
            if own in identities:
                return identities[own]
            if own == last:
                return None
            last, above = own, os.open("..", _PASS, dir_fd=here)
            os.close(here)
            here = above
    except OSError:
        return None
    finally:
        os.close(here)
