"""Opens beneath a root, and nowhere else.

A root is held open as a descriptor, and a path is walked from there one component at a time, never following a symbolic
link: a link is read and its target walked in the same manner, so whatever is renamed or replaced meanwhile, no step can
leave the root. Names are never compared to decide what may be opened; they only choose the root of an absolute path.
Hard links, and mounts inside a root, are the affair of whoever made them.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from app.domain.errors import OperationFailed
from app.infrastructure.files.wording import explained, refuse_outside, shown

_MAX_PATH_BYTES = 4096
_MAX_LINKS = 40  # as Linux
_MAX_STEPS = 4096  # a `..` walks anew from the root, so the length of a path alone does not bound the work

_O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY)  # Linux only; elsewhere a directory must be readable to be passed
_PASS = _O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Root:
    """A root: its descriptor, and its name as configured and with its own links resolved, both in components."""

    descriptor: int
    name: tuple[str, ...]
    real_name: tuple[str, ...]

    @classmethod
    def open(cls, path: str) -> "Root":
        """Open the directory `path` as a root.

        Raises:
            ValueError: it is not a directory that can be opened.
        """
        try:
            descriptor = os.open(path, _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ValueError(f"files.roots: {path!r} cannot be opened as a directory: {reason}") from None
        return cls(descriptor, tuple(parts_of(os.path.abspath(path))), tuple(parts_of(os.path.realpath(path))))

    def rest(self, parts: list[str]) -> list[str] | None:
        """Return what follows this root's name in the components of an absolute path; None when it begins otherwise."""
        for name in (self.name, self.real_name):
            if tuple(parts[: len(name)]) == name:
                return parts[len(name) :]
        return None


def parts_of(path: str) -> list[str]:
    """Return the components of a path, empty ones and `.` left out."""
    return [part for part in path.split("/") if part not in ("", ".")]


def locate(roots: Sequence[Root], path: str) -> tuple[Root, list[str]]:
    """Return the root that a path names and the components after it, none of them looked at.

    Raises:
        OperationFailed: the path cannot be one, or names no root.
    """
    if "\0" in path:
        raise OperationFailed("A path must not hold NUL characters")
    if not path:
        raise OperationFailed("The path is empty; use '.' for the first root")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise OperationFailed(f"{shown(path)}: the path is not valid Unicode") from None
    if size > _MAX_PATH_BYTES:
        raise OperationFailed(f"{shown(path)}: the path is longer than {_MAX_PATH_BYTES} bytes")
    parts = parts_of(path)
    if not path.startswith("/"):
        return roots[0], parts
    named = [(root, rest) for root in roots if (rest := root.rest(parts)) is not None]
    if not named:
        refuse_outside(path)
    return min(named, key=lambda choice: len(choice[1]))  # of nested roots, the inner one


@contextmanager
def parent_of(roots: Sequence[Root], path: str, *, create_dirs: bool = False) -> Iterator[tuple[int, str]]:
    """Open the directory that holds a path's last component; yield it and that component's name.

    The name is no link as far as the walk could see, and whoever opens it must refuse links all the same. It is `.`
    when the path is a root. The system's errors, those of the caller's block included, come out as ones for the caller.

    Raises:
        FileMissing, OperationFailed: the way there is blocked, or leaves the root.
    """
    root, parts = locate(roots, path)
    with explained(path):
        walk = _Walk(path, root, parts, create_dirs)
        try:
            name = walk.run()
            yield walk.directory, name
        finally:
            os.close(walk.directory)


class _Walk:
    """One way from a root to the directory that holds the last component of a path; `directory` is where it stands."""

    def __init__(self, path: str, root: Root, parts: list[str], create_dirs: bool) -> None:
        self._path = path
        self._root = root
        self._create_dirs = create_dirs
        self._passed: list[str] = []
        self._pending = parts[::-1]  # the next component stands last
        self._links = 0
        self.directory = os.dup(root.descriptor)

    def run(self) -> str:
        """Go there and return the name of the last component."""
        for _ in range(_MAX_STEPS):
            if not self._pending:
                return "."
            name = self._pending.pop()
            if name == "..":
                self._go_up()
            elif self._pending:
                self._enter(name)
            elif (target := _link_target(self.directory, name)) is not None:
                self._follow(target)
            else:
                return name
        raise OperationFailed(f"{shown(self._path)}: the path has too many components")

    def _enter(self, name: str) -> None:
        try:
            inner = os.open(name, _PASS, dir_fd=self.directory)
        except FileNotFoundError:
            if not self._create_dirs:
                raise
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=self.directory)
            inner = os.open(name, _PASS, dir_fd=self.directory)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            target = _link_target(self.directory, name)
            if target is not None:
                self._follow(target)
            elif stat.S_ISDIR(os.stat(name, dir_fd=self.directory, follow_symlinks=False).st_mode):
                self._pending.append(name)  # it was a link a moment ago: look again
            else:
                raise
            return
        self._move_to(inner)
        self._passed.append(name)

    def _follow(self, target: str) -> None:
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, "")
        parts: list[str] | None = parts_of(target)
        if target.startswith("/"):
            parts = self._root.rest(parts_of(target))
            self._begin_anew()
        if parts is None:
            refuse_outside(self._path)
        self._pending += parts[::-1]

    def _go_up(self) -> None:
        """Walk anew from the root to the directory above: `..` itself is never opened."""
        if not self._passed:
            refuse_outside(self._path)
        self._pending += self._passed[-2::-1]
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._passed.clear()
        self._move_to(os.dup(self._root.descriptor))

    def _move_to(self, descriptor: int) -> None:
        os.close(self.directory)
        self.directory = descriptor


@contextmanager
def directory_listed(directory: int, name: str) -> Iterator[int]:
    """Open the directory `name` in `directory` for reading its entries."""
    descriptor = os.open(name, _LIST, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_to_pass(directory: int, name: str) -> int:
    """Return a descriptor of the directory `name` in `directory`, good for passing through; the caller closes it."""
    return os.open(name, _PASS, dir_fd=directory)


def create_file(directory: int, name: str, mode: int) -> int:
    """Return a descriptor of the new file `name` in `directory`, open for writing; the caller closes it."""
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, mode, dir_fd=directory)


def open_regular(path: str, directory: int, name: str, access: int) -> tuple[int, os.stat_result]:
    """Return a descriptor of the regular file `name` in `directory`, and its status; the caller closes it.

    `access` is os.O_RDONLY or os.O_WRONLY, `path` what the caller asked for. Looking before opening keeps devices and
    FIFOs from noticing.

    Raises:
        OperationFailed: it is no regular file.
    """
    _require_regular(path, os.stat(name, dir_fd=directory, follow_symlinks=False))
    descriptor = os.open(name, access | _FILE, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        _require_regular(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _require_regular(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise OperationFailed(f"{shown(path)}: this is a directory, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise OperationFailed(f"{shown(path)}: not a regular file")


def _link_target(directory: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None  # no link, or nothing: whoever opens it will learn which
