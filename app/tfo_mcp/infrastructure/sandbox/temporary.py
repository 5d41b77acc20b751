"""The temporary directory of one command, locked while a process exists that will remove it.

The lock is a flock on the directory, shared by the server and the command's supervisor. An unlocked directory is
abandoned: its server was killed, and the next server removes it.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress

from tfo_mcp.infrastructure.sandbox.remove_tree import remove_tree
from tfo_mcp.value_objects import value_object

_PREFIX = "tfo-mcp-command-"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@value_object
class TemporaryDirectory:
    """A directory for one command; `lock` is the descriptor that holds its lock."""

    path: str
    lock: int

    @classmethod
    def make(cls) -> "TemporaryDirectory":
        """Return a new directory, empty and locked.

        Raises:
            OSError: the directory cannot be created.
        """
        while True:
            path = tempfile.mkdtemp(prefix=_PREFIX)
            with suppress(FileNotFoundError):  # another server removed it as abandoned before it was opened,
                lock = os.open(path, _OPEN)
                fcntl.flock(lock, fcntl.LOCK_EX)
                if _is_still(path, lock):  # or before it was locked
                    return cls(path, lock)
                os.close(lock)

    def remove(self) -> None:
        """Remove the directory with its contents, and release the lock."""
        remove_tree(self.path)
        os.close(self.lock)


def remove_abandoned() -> None:
    """Remove the unlocked directories that killed servers of this user have left; best-effort."""
    with suppress(OSError):
        for path in list(_of_this_user(tempfile.gettempdir())):
            with suppress(OSError):
                _remove_unless_held(path)


def _of_this_user(directory: str) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                        yield entry.path


def _remove_unless_held(path: str) -> None:
    try:
        lock = os.open(path, _OPEN)
    except PermissionError:  # the command has changed the mode of its directory
        os.chmod(path, stat.S_IRWXU)
        lock = os.open(path, _OPEN)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_uid == os.geteuid():
            remove_tree(path)
    finally:
        os.close(lock)


def _is_still(path: str, opened: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(opened))
    except FileNotFoundError:
        return False
