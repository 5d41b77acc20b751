"""Who the server runs as in a test: this user, and, if that is root, also a user without any rights.

The unprivileged user may not be able to reach the interpreter or the project, where they lie in root's home. Then it
gets a mount namespace of its own in which the way to them is open; nothing of this machine changes.
"""

import os
import shlex
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import PROJECT

_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Identity:
    """A user that a command line can be run as."""

    name: str
    user: int | None = None

    def line(self, line: Sequence[str]) -> list[str]:
        """Return the command line that runs another one as this user, in the same process."""
        if self.user is None:
            return list(line)
        become = f"setpriv --reuid {self.user} --regid {self.user} --clear-groups"
        script = "\n".join(["set -e", *_opened(_needed()), f"exec {become} {shlex.join(line)}"])
        return ["unshare", "--mount", "sh", "-c", script]


def identities() -> list[Identity]:
    """Return the users that the tests can be."""
    return [Identity("root"), Identity("nobody", _NOBODY)] if os.geteuid() == 0 else [Identity("user")]


def _needed() -> list[Path]:
    return sorted({Path(os.path.realpath(sys.base_prefix)), Path(sys.prefix), PROJECT})


def _opened(paths: Sequence[Path]) -> list[str]:
    """Return shell commands that put an open directory over each closed one that is on the way to a path."""
    closed = {path: top for path in paths if (top := _first_closed(path)) is not None}
    commands = [f"exec {number}<{shlex.quote(str(path))}" for number, path in enumerate(closed, 3)]
    commands += [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(top))}" for top in sorted(set(closed.values()))]
    for number, path in enumerate(closed, 3):
        quoted = shlex.quote(str(path))
        commands += [f"mkdir -p {quoted}", f"mount --no-canonicalize --bind /proc/self/fd/{number} {quoted}"]
        commands += [f"exec {number}<&-"]
    return commands


def _first_closed(path: Path) -> Path | None:
    """Return the first directory on the way to a path that others may not pass."""
    for directory in (*reversed(path.parents), path):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None
