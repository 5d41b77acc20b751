"""Moves and deletes files and directories beneath the roots. Runs in worker threads.

Links are moved or deleted themselves, never their targets. Must not know tools or how threads are chosen.
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import islice

from tfo_mcp.domain.errors import FileMissing, OperationFailed
from tfo_mcp.infrastructure.files.atomic_write import bring_names_to_disk, copy, replacement, turn, turns
from tfo_mcp.infrastructure.files.error_messages import ProtectedFile, explained, shown
from tfo_mcp.infrastructure.files.path_resolution import (
    directory_listed,
    entry_path,
    open_regular,
    parent_of,
    refuse_other_name,
)
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.roots import Root, holds_root
from tfo_mcp.infrastructure.linux.openat2 import rename_new
from tfo_mcp.infrastructure.sandbox.protected import Protected

_DEEPEST = 256  # each level keeps a descriptor open
_AT_ONCE = 4096  # entries of a directory that are listed before they are removed


def move(
    roots: Sequence[Root], source: str, destination: str, report: Report, *, overwrite: bool, create_dirs: bool
) -> None:
    """Move or rename a file, directory or link; across file systems only regular files can be moved.

    Raises:
        FileMissing, OperationFailed: nothing was moved.
    """
    with ExitStack() as stack:
        directory, name = stack.enter_context(parent_of(roots, source, follow=False, change=True))
        _require_movable(roots, source, directory, name)
        with explained(source):
            os.stat(name, dir_fd=directory, follow_symlinks=False)
        try:
            target = parent_of(roots, destination, follow=False, change=True, create_dirs=create_dirs)
            to_directory, to_name = stack.enter_context(target)
        except FileMissing:
            hint = "a directory of the path does not exist; create it, or set create_dirs to true"
            raise FileMissing(f"{shown(destination)}: {hint}") from None
        _require_movable(roots, destination, to_directory, to_name)
        old, new = (directory, name), (to_directory, to_name)
        with turns([directory, to_directory]):
            _rename(roots[0].protected, source, destination, old, new, report, overwrite=overwrite)
        bring_names_to_disk(to_directory)
        bring_names_to_disk(directory)


def delete(roots: Sequence[Root], path: str, report: Report, *, recursive: bool) -> int:
    """Delete a file, a link or a directory and return the number of deleted entries.

    Raises:
        FileMissing, OperationFailed: the deletion failed; part of a directory may be deleted.
    """
    with parent_of(roots, path, follow=False, change=True) as (directory, name):
        _require_movable(roots, path, directory, name)
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            with turn(directory):
                os.unlink(name, dir_fd=directory)
            count = 1
        elif recursive:
            count = _Removal(path, report).remove(directory, name, 1)
        else:
            _remove_empty(path, directory, name)
            count = 1
        bring_names_to_disk(directory)
    return count


def _require_movable(roots: Sequence[Root], path: str, directory: int, name: str) -> None:
    """Check that an entry, if it exists, neither is nor contains a root or a file of the server itself."""
    protected = roots[0].protected
    if (place := protected.beneath(entry_path(directory, name))) is not None:
        raise ProtectedFile(
            f"{shown(path)}: this is or contains a file that belongs to the server itself ({place.setting}), and "
            "cannot be moved or deleted",
            "files",
        )
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    refuse_other_name(protected, path, status)
    if name == "." or (stat.S_ISDIR(status.st_mode) and holds_root(roots, status)):
        raise OperationFailed(
            f"{shown(path)}: this is, or contains, a root of the server, which cannot be moved or deleted"
        )


def _rename(
    protected: Protected,
    source: str,
    destination: str,
    old: tuple[int, str],
    new: tuple[int, str],
    report: Report,
    *,
    overwrite: bool,
) -> None:
    with explained(source):
        status = os.stat(old[1], dir_fd=old[0], follow_symlinks=False)
    try:
        if overwrite:
            _rename_over(old, new, status)
        else:
            _rename_new(old, new, is_directory=stat.S_ISDIR(status.st_mode))
    except FileExistsError:
        raise OperationFailed(f"{shown(destination)}: exists already; to replace it set overwrite to true") from None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise OperationFailed(f"{shown(destination)}: a directory cannot be moved into itself") from None
        if error.errno != errno.EXDEV or not stat.S_ISREG(status.st_mode):
            raise
        _copy_over(protected, source, old, new, report, overwrite=overwrite)


def _rename_over(old: tuple[int, str], new: tuple[int, str], status: os.stat_result) -> None:
    """Rename and replace; if both names are hard links of one file, unlink the old one, which rename(2) keeps."""
    with suppress(FileNotFoundError):
        there = os.stat(new[1], dir_fd=new[0], follow_symlinks=False)
        if status.st_nlink > 1 and os.path.samestat(status, there) and not _is_same_name(old, new):
            os.unlink(old[1], dir_fd=old[0])
            return
    os.rename(old[1], new[1], src_dir_fd=old[0], dst_dir_fd=new[0])


def _is_same_name(old: tuple[int, str], new: tuple[int, str]) -> bool:
    return old[1] == new[1] and os.path.samestat(os.fstat(old[0]), os.fstat(new[0]))


def _rename_new(old: tuple[int, str], new: tuple[int, str], *, is_directory: bool) -> None:
    """Rename without replacing, atomically if the system supports it."""
    try:
        rename_new(*old, *new)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL) or is_directory:
            raise
        os.link(old[1], new[1], src_dir_fd=old[0], dst_dir_fd=new[0], follow_symlinks=False)
        os.unlink(old[1], dir_fd=old[0])


def _copy_over(
    protected: Protected, source: str, old: tuple[int, str], new: tuple[int, str], report: Report, *, overwrite: bool
) -> None:
    """Move a file to another file system: the copy is complete before the original is deleted."""
    descriptor, status = open_regular(protected, source, old[0], old[1], os.O_RDONLY)
    try:
        try:
            there: os.stat_result | None = os.stat(new[1], dir_fd=new[0], follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is not None and not overwrite:
            raise FileExistsError(errno.EEXIST, "")
        with replacement(*new, replaces=there is not None, like=status, attributes=descriptor) as copied:
            copy(descriptor, copied, report)
            os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(descriptor)
    os.unlink(old[1], dir_fd=old[0])


def _remove_empty(path: str, directory: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise OperationFailed(
            f"{shown(path)}: the directory is not empty; to delete it with its contents set recursive to true"
        ) from None


class _Removal:
    """Removes a directory and its contents without following links."""

    def __init__(self, path: str, report: Report) -> None:
        self._path = path
        self._report = report
        self._count = 0

    def remove(self, directory: int, name: str, level: int) -> int:
        """Remove one directory and return the number of entries removed so far."""
        if level > _DEEPEST:
            raise OperationFailed(f"{shown(self._path)}: more than {_DEEPEST} levels deep: delete an inner one first")
        with directory_listed(directory, name) as inner:
            while entries := _some_entries(inner):
                for entry, is_directory in entries:
                    if is_directory:
                        self.remove(inner, entry, level + 1)
                    else:
                        os.unlink(entry, dir_fd=inner)
                        self._count += 1
                    self._report.tick(self._count)
        os.rmdir(name, dir_fd=directory)
        self._count += 1
        return self._count


def _some_entries(directory: int) -> list[tuple[str, bool]]:
    """Return up to 4096 names in a directory, each with whether it is a directory; none if it is empty."""
    with os.scandir(directory) as found:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(found, _AT_ONCE)]
