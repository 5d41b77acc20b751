"""The roots: the served directories, and the selection of the root that a path refers to.

A root is an open descriptor from the start. Names are compared here only to select the root of a path; they never
decide access, which `path_resolution` does.
"""

import os
from collections.abc import Collection, Sequence

from tfo_mcp.domain.errors import NotConfigured
from tfo_mcp.infrastructure.files.error_messages import refuse_outside
from tfo_mcp.infrastructure.files.paths import is_absolute, parts_of, path_of, same_names
from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX, file_system_type
from tfo_mcp.infrastructure.sandbox.protected import NOTHING, Protected
from tfo_mcp.value_objects import value_object

O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY)  # Linux only; elsewhere a directory must be readable to be passed
_ABOVE = O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_KERNEL_DIRECTORIES = ("/proc", "/sys", "/dev")
_KERNEL_FILE_SYSTEMS = frozenset(
    {
        0x9FA0,  # proc
        0x62656572,  # sysfs
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x73636673,  # securityfs
        0xCAFE4A11,  # bpf
        0x6165676C,  # pstore
        0x1CD1,  # devpts
    }
)
_LOCAL_FILE_SYSTEMS = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs
        0x794C7630,  # overlayfs
        0xF2F52010,  # f2fs
        0x2FC12FC1,  # zfs
        0xCA451A4E,  # bcachefs
    }
)


@value_object
class Root:
    """A root: its descriptor, whether it is read-only, and its path in components, as configured and as resolved.

    `is_local` is whether its file system is known to depend on no other machine or program. `protected` are the files
    that are never served, wherever they lie.
    """

    descriptor: int
    read_only: bool
    name: tuple[str, ...]
    real_name: tuple[str, ...]
    is_local: bool
    protected: Protected = NOTHING

    @classmethod
    def open(cls, path: str, *, read_only: bool = False, protected: Protected = NOTHING) -> "Root":
        """Open the directory `path` as a root.

        Raises:
            ValueError: it cannot be opened as a directory, or belongs to the kernel or to the server itself.
        """
        try:
            descriptor = os.open(path, _ABOVE)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ValueError(f"files.roots: {path!r} cannot be opened as a directory: {reason}") from None
        if _is_kernels_own(descriptor):
            os.close(descriptor)
            raise ValueError(f"files.roots: {path!r} lies in {', '.join(_KERNEL_DIRECTORIES)}, which cannot be served")
        try:
            protected.require_outside(path, descriptor)
        except ValueError:
            os.close(descriptor)
            raise
        name, real_name = parts_of(os.path.abspath(path)), parts_of(os.path.realpath(path))
        is_local = IS_LINUX and file_system_type(descriptor) in _LOCAL_FILE_SYSTEMS
        return cls(descriptor, read_only, tuple(name), tuple(real_name), is_local, protected)

    @property
    def path(self) -> str:
        """The root's absolute path, as configured."""
        return "/" + "/".join(self.name)

    def rest(self, parts: list[str]) -> list[str] | None:
        """Return the components of an absolute path below this root; None if the path is not below it."""
        for name in (self.name, self.real_name):
            if same_names(parts[: len(name)], name):
                return parts[len(name) :]
        return None


def open_roots(wanted: Sequence[tuple[str, bool]], protected: Protected = NOTHING) -> tuple[Root, ...]:
    """Open directories as roots; `wanted` has their paths and whether they are read-only.

    Raises:
        ValueError: there is none, or one cannot be served as requested.
    """
    if not wanted:
        raise ValueError("files.roots: name at least one directory")
    roots: list[Root] = []
    try:
        for path, read_only in wanted:
            roots.append(Root.open(path, read_only=read_only, protected=protected))
        changeable = {_identity(os.fstat(root.descriptor)) for root in roots if not root.read_only}
        for root in roots:
            if root.read_only and _is_beneath(root.descriptor, changeable):
                raise ValueError(f"files.roots: {root.path!r} cannot be read-only inside of a root that is not")
    except ValueError:
        for root in roots:
            os.close(root.descriptor)
        raise
    return tuple(roots)


def locate(roots: Sequence[Root], path: str) -> tuple[Root, list[str]]:
    """Return the root of a path and the components below it; does not access them, except as `_is_name` says.

    A URI whose path is not beneath a root is relative to the first root, because the URI template of files puts a slash
    before every path.

    Raises:
        NotConfigured: there is no root.
        OperationFailed: the path is invalid, or not beneath a root.
    """
    if not roots:
        raise NotConfigured("No directory is served: configure one in files.roots")
    plain, is_uri = path_of(path)
    parts = parts_of(plain)
    if is_absolute(plain):
        named = _inner_root(roots, parts)
        if named is not None:
            return named
        if not is_uri:
            refuse_outside(path)
    if is_uri and _is_name(roots[0], path, parts):
        return roots[0], parts_of(path)
    below_first = None if ".." in parts else _inner_root(roots, [*roots[0].name, *parts])
    return below_first or (roots[0], parts)


def _inner_root(roots: Sequence[Root], parts: list[str]) -> tuple[Root, list[str]] | None:
    """Return the innermost root of the components of an absolute path, and the components below it."""
    named = [(root, rest) for root in roots if (rest := root.rest(parts)) is not None]
    return min(named, key=lambda choice: len(choice[1]), default=None)


def _is_name(root: Root, text: str, parts: Sequence[str]) -> bool:
    """Return whether a text that looks like a URI is the path of an entry of a directory named `file:` in the root.

    A text with one slash, as listings have it, is such a path if there is the directory; one with three slashes only
    if the URI leads nowhere.
    """
    scheme = text.partition("/")[0]
    if not _exists(root, scheme):
        return False
    return not text[len(scheme) :].startswith("//") or not parts or not _exists(root, parts[0])


def _exists(root: Root, name: str) -> bool:
    try:
        os.stat(name, dir_fd=root.descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True


def absolute(roots: Sequence[Root], path: str) -> str:
    """Return the absolute path of a path, without resolving links; the file need not exist.

    Raises:
        OperationFailed: as `locate`, or the path leads above its root.
    """
    root, parts = locate(roots, path)
    passed: list[str] = []
    for part in parts:
        if part != "..":
            passed.append(part)
        elif passed:
            passed.pop()
        else:
            refuse_outside(path)
    return "/" + "/".join((*root.name, *passed))


def is_kernels_file(descriptor: int) -> bool:
    """Return whether an open file is in a virtual file system of the kernel."""
    return IS_LINUX and file_system_type(descriptor) in _KERNEL_FILE_SYSTEMS


def holds_root(roots: Sequence[Root], status: os.stat_result) -> bool:
    """Return whether the directory with this status is a root, or contains one at any depth."""
    return any(_is_beneath(root.descriptor, {_identity(status)}) for root in roots)


def _is_kernels_own(directory: int) -> bool:
    """Return whether a directory is, or lies in, a virtual file system of the kernel."""
    kernels = {_identity(status) for name in _KERNEL_DIRECTORIES if (status := _status(name))}
    return _is_beneath(directory, kernels) or is_kernels_file(directory)


def _is_beneath(directory: int, others: Collection[tuple[int, int]]) -> bool:
    """Return whether a directory is, or lies in, one of the directories with these identities."""
    here = os.dup(directory)
    try:
        last = None
        while (own := _identity(os.fstat(here))) != last:
            if own in others:
                return True
            last, above = own, os.open("..", _ABOVE, dir_fd=here)
            os.close(here)
            here = above
    finally:
        os.close(here)
    return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
