"""Files that only their owner may read, written whole or not at all."""

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
    """Check that nobody else may read or write a file; root's, which a group may read, is as private.

    That is how Kubernetes gives a secret to a process that is not root.

    Raises:
        ValueError: somebody may; the message says what to do.
    """
    is_given_by_root = status.st_uid == 0 != os.getuid() and not status.st_mode & _OTHERS_BUT_GROUPS_READING
    if status.st_mode & _OTHERS and not is_given_by_root:
        raise ValueError(f"{path} may be read or written by others: run chmod 600 on it")


def replace_private(path: Path, data: bytes) -> None:
    """Put a file in the place of another, or where none is; its directory is made if need be.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        with open(descriptor, "wb") as file:
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
    """Be the only process that changes a file, until the end of the block."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
