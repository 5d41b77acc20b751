"""Resolves paths and opens files beneath a root, and never outside of it.

A root is an open descriptor, and the kernel resolves paths beneath it (openat2 with RESOLVE_BENEATH). If the kernel
cannot, or if an absolute link points back into its own root, this module walks the path one component at a time. It
never opens a link: it reads the link and walks its target in the same way. No step can leave the root, even if files
are renamed or replaced concurrently. Path strings never decide access; they only select the root of an absolute path.
Files of kernel file systems (/proc, /sys) are always refused, even if they are mounted beneath a root.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

from tfo_mcp.domain.errors import OperationFailed, OutOfReach
from tfo_mcp.infrastructure.files.error_messages import NoSuchEntry, explained, refuse_outside, refuse_protected, shown
from tfo_mcp.infrastructure.files.paths import looks_alike, parts_of, same_name
from tfo_mcp.infrastructure.files.roots import O_PATH, Root, is_kernels_file, locate
from tfo_mcp.infrastructure.linux import openat2
from tfo_mcp.infrastructure.sandbox.protected import Protected, path_of

_MOST_COMPARED = 100_000  # entries of a directory, for a name that is missing in it
_MAX_LINKS = 40  # as Linux
_MAX_STEPS = 4096  # a `..` restarts the walk at the root, so the length of a path alone does not bound the work

_PASS = O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BENEATH = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_MAGICLINKS
_WALK_INSTEAD = frozenset({errno.EXDEV, errno.EAGAIN, errno.ENOSYS})


@contextmanager
def parent_of(
    roots: Sequence[Root], path: str, *, create_dirs: bool = False, follow: bool = True, change: bool = False
) -> Iterator[tuple[int, str]]:
    """Open the directory that contains the last component of a path; yield its descriptor and that component's name.

    The name is `.` if the path is a root. The caller must open it with O_NOFOLLOW even with `follow`, since it can be
    replaced by a link at any time. Operating-system errors, including those of the block, are translated by
    `explained`.

    Args:
        create_dirs: whether to create missing directories of the path.
        follow: whether to resolve the last component if it is a link.
        change: whether the caller intends a change, which is refused in a read-only root.

    Raises:
        FileMissing, OperationFailed: the directory cannot be opened, or the path leaves the root.
    """
    root, parts = locate(roots, path)
    if change and root.read_only:
        raise OutOfReach(f"{shown(path)}: this directory is served for reading only (files.roots)", "files")
    with explained(path):
        directory, name = _enter(root, parts, path, create_dirs=create_dirs, follow=follow)
        try:
            _refuse_kernel_files(path, directory)
            refuse_protected_entry(root.protected, path, directory, name)
            yield directory, name
        finally:
            os.close(directory)


def _enter(root: Root, parts: list[str], path: str, *, create_dirs: bool, follow: bool) -> tuple[int, str]:
    """Return a descriptor of the directory and the name in it; uses openat2 if available, otherwise a walk."""
    if parts and parts[-1] != ".." and openat2.available():
        way = os.fsencode("/".join(parts[:-1]) or ".")
        try:
            directory = openat2.openat2(root.descriptor, way, O_PATH | os.O_DIRECTORY, _BENEATH)
        except OSError as error:
            may_be_there = create_dirs or not way.isascii()
            if error.errno not in _WALK_INSTEAD and not (may_be_there and error.errno == errno.ENOENT):
                raise
        else:
            name = _present_name(directory, parts[-1])
            if not follow or _link_target(directory, name) is None:
                return directory, name
            os.close(directory)
    walk = _Walk(path, root, parts, create_dirs=create_dirs, follow=follow)
    try:
        name = walk.run()
    except BaseException:
        os.close(walk.directory)
        raise
    return walk.directory, name


class _Walk:
    """One walk from a root to the directory of the last component of a path; `directory` is the current position."""

    def __init__(self, path: str, root: Root, parts: list[str], *, create_dirs: bool, follow: bool) -> None:
        self._path = path
        self._root = root
        self._create_dirs = create_dirs
        self._follow_last = follow
        self._passed: list[str] = []
        self._pending = parts[::-1]  # the next component is the last element
        self._links = 0
        self.directory = os.dup(root.descriptor)

    def run(self) -> str:
        """Walk to the directory and return the name of the last component."""
        for _ in range(_MAX_STEPS):
            if not self._pending:
                return "."
            name = self._pending.pop()
            if name == "..":
                self._go_up()
                continue
            name = _present_name(self.directory, name)
            if self._pending:
                self._enter(name)
            elif self._follow_last and (target := _link_target(self.directory, name)) is not None:
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
            refuse_protected_entry(self._root.protected, self._path, self.directory, name)
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
                self._pending.append(name)  # it was a link a moment ago: retry
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
        """Restart at the root and walk to the parent directory: `..` itself is never opened."""
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
    """Return an O_PATH descriptor of the directory `name` in `directory`; the caller closes it."""
    return os.open(name, _PASS, dir_fd=directory)


def status_beneath(directory: int, path: str) -> os.stat_result | None:
    """Return the status of the file at a relative path without following links; None if it cannot be reached."""
    *way, name = path.split("/")
    here = os.dup(directory)
    try:
        for part in way:
            inner = os.open(part, _PASS, dir_fd=here)
            os.close(here)
            here = inner
        return os.stat(name, dir_fd=here, follow_symlinks=False)
    except OSError:
        return None
    finally:
        os.close(here)


def open_beneath(directory: int, path: str) -> int | None:
    """Return a read descriptor of the regular file at a relative path; None if there is none.

    Links are not followed. The caller closes the descriptor.
    """
    status = status_beneath(directory, path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    way, _, name = path.rpartition("/")
    here = os.dup(directory)
    try:
        for part in filter(None, way.split("/")):
            inner = os.open(part, _PASS, dir_fd=here)
            os.close(here)
            here = inner
        descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=here)
    except OSError:
        return None
    finally:
        os.close(here)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def create_file(directory: int, name: str, mode: int) -> int:
    """Create the file `name` in `directory` and return a write descriptor; the caller closes it."""
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, mode, dir_fd=directory)


def entry_path(directory: int, name: str) -> str:
    """Return the path, with links resolved, of an entry of an open directory; `.` is the directory itself."""
    above = path_of(directory)
    return above if name == "." else f"{above.rstrip('/')}/{name}"


def refuse_protected_entry(protected: Protected, path: str, directory: int, name: str) -> None:
    """Check that an entry of an open directory is not a file of the server itself; `path` is the path as given.

    Raises:
        OutOfReach: the entry belongs to the server.
    """
    if (place := protected.at(entry_path(directory, name))) is not None:
        refuse_protected(path, place.setting)


def refuse_other_name(protected: Protected, path: str, status: os.stat_result) -> None:
    """Check that the file with this status is not a hard link to a file of the server itself.

    Raises:
        OutOfReach: the file belongs to the server.
    """
    if (place := protected.with_other_name(status)) is not None:
        refuse_protected(path, place.setting)


def open_regular(protected: Protected, path: str, directory: int, name: str, access: int) -> tuple[int, os.stat_result]:
    """Return a descriptor of the regular file `name` in `directory`, and its status; the caller closes it.

    `access` is os.O_RDONLY or os.O_WRONLY, `path` the path as given. The type is checked before opening, too, because
    opening a device or FIFO has side effects.

    Raises:
        OperationFailed: the file is not a regular file, or belongs to the server itself.
    """
    reads = access == os.O_RDONLY
    _require_regular(path, status_of(protected, directory, name) if reads else _own_status(directory, name))
    descriptor = os.open(name, access | _FILE, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        _require_regular(path, status)
        _refuse_kernel_files(path, descriptor)
        refuse_other_name(protected, path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def status_of(protected: Protected, directory: int, name: str) -> os.stat_result:
    """Return the status of an entry, of a link itself.

    Raises:
        NoSuchEntry: there is none, but one whose name looks alike and which is served.
        OSError: there is none.
    """
    try:
        return _own_status(directory, name)
    except FileNotFoundError:
        similar = _only_entry(directory, lambda other: looks_alike(other, name))
        if similar is None or protected.at(entry_path(directory, similar)) is not None:
            raise
        raise NoSuchEntry(similar) from None


def _own_status(directory: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _require_regular(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise OperationFailed(f"{shown(path)}: this is a directory, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise OperationFailed(f"{shown(path)}: not a regular file")


def _present_name(directory: int, name: str) -> str:
    """Return the name of the entry that a caller means.

    That is `name`, unless no entry has it and exactly one has a name that differs only in its Unicode normalization:
    language models and input methods do not reproduce it.
    """
    if name.isascii():
        return name
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return _only_entry(directory, lambda other: same_name(other, name)) or name
    except OSError:  # opening it will show why
        pass
    return name


def _only_entry(directory: int, is_meant: Callable[[str], bool]) -> str | None:
    """Return the only entry with such a name, None if there is none or more than one."""
    try:
        with directory_listed(directory, ".") as descriptor, os.scandir(descriptor) as entries:
            same = [entry.name for entry in islice(entries, _MOST_COMPARED) if is_meant(entry.name)]
    except OSError:  # the directory cannot be listed
        return None
    return same[0] if len(same) == 1 else None


def _link_target(directory: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None  # not a link, or missing: opening it will show which


def _refuse_kernel_files(path: str, descriptor: int) -> None:
    if is_kernels_file(descriptor):
        raise OutOfReach(f"{shown(path)}: part of a kernel file system, which is not served", "files")
