"""Protected places: the server's own files, which no caller may access, even if they lie beneath a root.

Owns their current locations: resolved paths, further paths through other mounts, and the identities of files with hard
links. Also owns the plan of covers that hides them from commands. Must not know tools, nor settings except by their
names in errors.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic

from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX
from tfo_mcp.infrastructure.sandbox.cover_plan import CoverPlan, Trees, refuse
from tfo_mcp.infrastructure.sandbox.mount_table import Mount, mount_table, other_names
from tfo_mcp.infrastructure.sandbox.protected_place import ProtectedPlace, ancestors, resolved
from tfo_mcp.value_objects import value_object

_LOOK_SECONDS = 1.0
_LOOK_AT_CODE_SECONDS = 10.0
_MOST_FILES = 200_000
_F_GETPATH = 50  # macOS
_PASS: int = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

Identity = tuple[int, int]


@value_object
class _Found:
    """The current location of a place: its resolved path, all its paths, and the links that lead to it."""

    place: ProtectedPlace
    real: str
    names: tuple[str, ...]
    links: tuple[str, ...]


class _View:
    """A snapshot of the locations of all places, indexed for lookups."""

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
    """The protected places of one server. Thread-safe."""

    def __init__(self, places: Sequence[ProtectedPlace]) -> None:
        self._places = tuple(places)
        self._view = _View(self._places)
        self._next = monotonic() + _LOOK_SECONDS
        self._code: frozenset[Identity] = frozenset()
        self._next_code = 0.0

    def replace(self, places: Sequence[ProtectedPlace]) -> None:
        """Replace the protected places, effective immediately."""
        self._places, self._next_code = tuple(places), 0.0
        self._now(at_once=True)

    def at(self, path: str) -> ProtectedPlace | None:
        """Return the place that a resolved path is or lies in."""
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
        """Return a place that lies beneath a resolved path, or is reached through a link at that path."""
        return self._now().ways.get(path)

    def hidden_in(self, directory: str) -> Callable[[str], bool] | None:
        """Return a predicate for the hidden names in a resolved directory; None if no name in it is hidden."""
        view = self._now()
        names, siblings = view.children.get(directory), view.siblings.get(directory.rstrip("/"), ())
        if names is None:
            return (lambda _: True) if self.at(directory) is not None else None
        return lambda name: name in names or any(_is_sibling(name, base) for base, _ in siblings)

    def names_beneath(self, directory: str) -> Iterator[tuple[str, str]]:
        """Yield the relative paths of the places beneath a directory, each with a glob suffix for its siblings."""
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

        On other systems than Linux, another name may also differ only in case.
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
        """Return the inode numbers of the secret files that have several hard links."""
        view = self._now()
        if view.linked is None:
            view.linked = frozenset(identity[1] for _, identity in self._secret_files(linked=True))
        return view.linked

    def require_outside(self, path: str, directory: int) -> None:
        """Check that a directory to be served neither is a protected place nor lies in one.

        Raises:
            ValueError: it does; the message names the setting.
        """
        identities = {identity: found.place for found in self._now().found if (identity := _directory(found.real))}
        place = self.at(path_of(directory)) or _holder(directory, identities)
        if place is not None:
            raise ValueError(
                f"files.roots: {path!r} is, or is in, a directory of the server itself ({place.setting}): "
                "serve another directory, or move that one"
            )

    def plan(self, trees: Trees) -> CoverPlan:
        """Return the covers that hide all places from a command that may use these trees.

        Raises:
            OutOfReach: a place cannot be covered; the message names the setting.
        """
        plan = CoverPlan(trees)
        for found in self._now(at_once=True).found:
            plan.refuse_replaceable([link for link in found.links if self.at(link) is None], found.place)
            for name in found.names:
                plan.add(name, found.place)
        for place, _ in self._secret_files(linked=True):
            refuse(place, "has several hard links")
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
"""No protected places."""


def path_of(descriptor: int) -> str:
    """Return the current resolved path of an open file or directory."""
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
    """Yield the identities of a place's files, each with whether it has several hard links."""
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
    """Return the place that a directory is or lies in, compared by identity instead of by path."""
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
