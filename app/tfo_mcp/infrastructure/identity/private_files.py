"""Reads and atomically writes files that only their owner may access. Must not know their contents."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PRIVATE = 0o600
_OTHERS = 0o077
_OTHERS_BUT_GROUPS_READING = 0o037


def require_private(path: Path, status: os.stat_result) -> None:
    """Check that no other user may read or write a file.

    A file of root that a group may read is accepted: Kubernetes mounts secrets in this way for unprivileged processes.

    Raises:
        ValueError: others may access the file; the message says what to do.
    """
    is_given_by_root = status.st_uid == 0 != os.getuid() and not status.st_mode & _OTHERS_BUT_GROUPS_READING
    if status.st_mode & _OTHERS and not is_given_by_root:
        raise ValueError(f"{path} may be read or written by others: run chmod 600 on it")


def replace_file(path: Path, data: bytes, mode: int = _PRIVATE) -> None:
    """Create or replace a file atomically, with these permissions; creates its directory if needed.

    Raises:
        OSError: the file cannot be written; an existing file is unchanged.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Hold an exclusive lock for changing a file, across processes, until the end of the block."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
