"""Covers: what lies beneath a program's directories and is not for the program, put out of its reach by mounts.

Landlock gives rights to whole trees and takes none away, so the supervisor enters a mount namespace of its own before
it starts the program, and mounts over each such place. Runs in the supervisor. A mount over a file goes when the file
is replaced from outside; so covers are looked at again and again, and put over what has come meanwhile.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from tfo_mcp.infrastructure.linux import mounts, openat2
from tfo_mcp.infrastructure.sandbox.policy import Cover

_ASIDE = ".set-aside"
_MOST_ASIDE = 1000


class Covers:
    """The covers of one program."""

    def __init__(self, covers: Sequence[Cover]) -> None:
        self._covers = sorted(covers, key=lambda cover: cover.path.count("/"))
        self._mask: dict[str, tuple[int, int]] = {}
        self._is_entered = False

    def enter(self) -> bool:
        """Cover everything, in a namespace of this process; tell whether it has its users for itself as well.

        Raises:
            OSError: it cannot be done; `filename` is what could not be covered, if it was that.
        """
        if not self._covers:
            return False
        has_own_users = mounts.enter_namespace()
        self._is_entered = True
        for cover in self._covers:
            self._cover(cover)
        return has_own_users

    def renew(self) -> None:
        """Cover what has come since, or was replaced from outside."""
        if not self._is_entered:
            return
        for cover in self._covers:
            if cover.kind == "hidden" and _identity(cover.path) != self._mask.get(cover.path):
                with suppress(OSError):  # it goes and comes: there is a next time
                    self._cover(cover)

    def set_aside(self) -> None:
        """Give another name to what has come where nothing was: the server would trust it for its name."""
        for cover in self._covers:
            if cover.kind == "absent" and _identity(cover.path) is not None:
                for number in range(1, _MOST_ASIDE):
                    with suppress(FileExistsError):
                        _rename(cover.path, f"{cover.path}{_ASIDE}-{number}")
                        break

    def _cover(self, cover: Cover) -> None:
        if cover.kind == "absent":
            return
        try:
            there = open_without_links(cover.path)
        except FileNotFoundError:
            self._mask.pop(cover.path, None)
            return
        try:
            if cover.kind != "hidden":
                mounts.pin(there, cover.path, read_only=cover.kind == "read-only")
            elif stat.S_ISDIR(os.fstat(there).st_mode):
                mounts.cover_directory(there)
            else:
                mounts.cover_file(there, cover.path)
        except OSError as problem:
            raise OSError(problem.errno, os.strerror(problem.errno or 0), cover.path) from None
        finally:
            os.close(there)
        if (identity := _identity(cover.path)) is not None:
            self._mask[cover.path] = identity


def open_without_links(path: str) -> int:
    """Return a descriptor of what an absolute path names, no link followed on the way, good for passing through.

    Raises:
        OSError: there is no such thing, or a link on the way to it.
    """
    if openat2.available():
        return openat2.openat2(_AT_FDCWD, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW, openat2.RESOLVE_NO_SYMLINKS)
    return os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)


_AT_FDCWD = -100


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _rename(old: str, new: str) -> None:
    with suppress(FileNotFoundError):
        openat2.rename_new(_AT_FDCWD, old, _AT_FDCWD, new)
