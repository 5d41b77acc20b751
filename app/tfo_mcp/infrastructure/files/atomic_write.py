"""Replaces the contents of files atomically and keeps their mode, owner and extended attributes.

The contents are written to an unnamed file if the system has them (O_TMPFILE), so that a killed process leaves nothing
behind. They are synced to disk and renamed over the old file. Writers of one directory take turns by a lock (flock),
across processes, so that no update is lost between reading a file and replacing it. Knows only descriptors and names.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic, sleep

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.path_resolution import create_file, directory_listed
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.linux.openat2 import rename_new

_KEPT_MODE = 0o1777  # all but set-user-id and set-group-id, which writing clears
_OF_CONTENTS = {"security.capability", "security.ima", "security.evm"}  # they apply to the old contents only
_COPY = 1024 * 1024
_TURN_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.002
_O_TMPFILE: int | None = getattr(os, "O_TMPFILE", None)


@contextmanager
def turn(directory: int) -> Iterator[None]:
    """Hold the write lock of a directory. A directory that cannot be read is not locked.

    Raises:
        OperationFailed: another writer holds the lock for more than 5 seconds.
    """
    try:
        lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        yield
        return
    try:
        end = monotonic() + _TURN_SECONDS
        while not _taken(lock):
            if monotonic() > end:
                raise OperationFailed("Another program keeps this directory locked: try again")
            sleep(_LOOK_AGAIN_SECONDS)
        yield
    finally:
        os.close(lock)


@contextmanager
def turns(directories: Sequence[int]) -> Iterator[None]:
    """Hold the write locks of several directories, acquired in a global order to prevent deadlocks.

    Raises:
        OperationFailed: another writer holds one of the locks for more than 5 seconds.
    """
    by_identity = {((status := os.fstat(one)).st_dev, status.st_ino): one for one in directories}
    with ExitStack() as stack:
        for _, directory in sorted(by_identity.items()):
            stack.enter_context(turn(directory))
        yield


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def replacement(
    directory: int,
    name: str,
    *,
    replaces: bool,
    like: os.stat_result | None = None,
    attributes: int | None = None,
) -> Iterator[int]:
    """Yield a descriptor for the new contents; if the block succeeds, they atomically replace the file `name`.

    Args:
        replaces: whether an existing file is replaced; otherwise `name` must not exist.
        like: status of the file whose mode and owner the new file gets.
        attributes: descriptor of the file whose extended attributes the new file gets.

    Raises:
        FileExistsError: `name` exists although `replaces` is false.
        OperationFailed: the owner cannot be kept.
    """
    mode = 0o666 if like is None else 0o600
    descriptor, temporary = _new_file(directory, mode)
    try:
        yield descriptor
        if like is not None:
            _keep(descriptor, like, attributes)
        os.fsync(descriptor)
        _publish(descriptor, temporary, directory, name, replaces=replaces)
        temporary = None
    finally:
        os.close(descriptor)
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
    bring_names_to_disk(directory)


def bring_names_to_disk(directory: int) -> None:
    """Sync the entries of a directory to disk; best-effort, since a directory may be unreadable."""
    with suppress(OSError), directory_listed(directory, ".") as listed:
        os.fsync(listed)


def copy(source: int, target: int, report: Report) -> int:
    """Copy a file's contents and return their size; shares blocks if the file system supports it."""
    position, total = 0, os.fstat(source).st_size
    while True:
        copied = _copy_range(source, target, position)
        if copied == 0:
            return position
        position += copied
        report.tick(position, max(position, total))


def write_all(descriptor: int, data: bytes, report: Report) -> None:
    """Write all of the data."""
    position = 0
    while position < len(data):
        position += os.write(descriptor, memoryview(data)[position : position + _COPY])
        report.tick(position, len(data))


def _copy_range(source: int, target: int, position: int) -> int:
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # not supported between these two file systems
            return os.copy_file_range(source, target, _COPY, position, position)
    data = os.pread(source, _COPY, position)
    written = 0
    while written < len(data):
        written += os.pwrite(target, data[written:], position + written)
    return len(data)


def _new_file(directory: int, mode: int) -> tuple[int, str | None]:
    """Return a descriptor of a new file and its temporary name, None for an unnamed file."""
    if _O_TMPFILE is not None:
        with suppress(OSError):  # this file system does not support unnamed files
            return os.open(".", os.O_RDWR | _O_TMPFILE | os.O_CLOEXEC, mode, dir_fd=directory), None
    temporary = _temporary_name()
    return create_file(directory, temporary, mode), temporary


def _temporary_name() -> str:
    return f".tfo-mcp-{secrets.token_hex(8)}.tmp"


def _keep(descriptor: int, like: os.stat_result, attributes: int | None) -> None:
    try:
        if (like.st_uid, like.st_gid) != ((new := os.fstat(descriptor)).st_uid, new.st_gid):
            os.fchown(descriptor, like.st_uid, like.st_gid)
    except PermissionError:
        raise OperationFailed(
            "The file belongs to another user or group, which the server cannot keep: ask its owner"
        ) from None
    if attributes is not None and hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in set(os.listxattr(attributes)) - _OF_CONTENTS:
                with suppress(OSError):  # some are set by the system only
                    os.setxattr(descriptor, name, os.getxattr(attributes, name))
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode) & _KEPT_MODE)


def _publish(descriptor: int, temporary: str | None, directory: int, name: str, *, replaces: bool) -> None:
    own_name = f"/proc/self/fd/{descriptor}"
    if not replaces:
        if temporary is None:
            os.link(own_name, name, dst_dir_fd=directory, follow_symlinks=True)
        else:
            _rename_new(directory, temporary, name)
        return
    if temporary is None:
        temporary = _temporary_name()
        os.link(own_name, temporary, dst_dir_fd=directory, follow_symlinks=True)
    try:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def _rename_new(directory: int, temporary: str, name: str) -> None:
    try:
        rename_new(directory, temporary, directory, name)
    except FileExistsError:
        raise
    except OSError:  # no atomic rename: link the new name, then unlink the old one
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.unlink(temporary, dir_fd=directory)
