"""Covers: mounts that hide protected files beneath a program's directories.

Landlock grants rights to whole trees and cannot exclude parts of them. The supervisor therefore enters its own mount
namespace before it starts the program, and mounts over each protected place. A mount over a file disappears when the
file is replaced from outside, so covers are checked periodically and renewed. Runs in the supervisor.
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
        """Enter a mount namespace and mount all covers; return whether that took a user namespace as well.

        Raises:
            OSError: the namespace or a cover cannot be made; `filename` is the path that could not be covered, if any.
        """
        if not self._covers:
            return False
        has_own_users = mounts.enter_namespace()
        self._is_entered = True
        for cover in self._covers:
            self._cover(cover)
        return has_own_users

    def renew(self) -> None:
        """Cover files that have been created or replaced from outside since."""
        if not self._is_entered:
            return
        for cover in self._covers:
            if cover.kind == "hidden" and _identity(cover.path) != self._mask.get(cover.path):
                with suppress(OSError):  # the file is changing right now; the next call retries
                    self._cover(cover)

    def set_aside(self) -> None:
        """Rename files that the program created at `absent` paths: the server would trust them by their names."""
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
    """Return an O_PATH descriptor of an absolute path without following links.

    Raises:
        OSError: the path does not exist, or contains a link.
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
