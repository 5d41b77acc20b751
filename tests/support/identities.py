"""The users that a test can run the server as: this user, and, if this is root, also an unprivileged user.

The unprivileged user may lack access to the interpreter or the project, for example in root's home directory. Then it
runs in its own mount namespace, in which their parent directories are accessible; the machine itself is not changed.
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
    """A user that can run a command line."""

    name: str
    user: int | None = None

    def line(self, line: Sequence[str]) -> list[str]:
        """Wrap a command line so that it runs as this user, in the same process."""
        if self.user is None:
            return list(line)
        become = f"setpriv --reuid {self.user} --regid {self.user} --clear-groups"
        script = "\n".join(["set -e", *_opened(_needed()), f"exec {become} {shlex.join(line)}"])
        return ["unshare", "--mount", "sh", "-c", script]


def identities() -> list[Identity]:
    """Return the users that tests can run the server as."""
    return [Identity("root"), Identity("nobody", _NOBODY)] if os.geteuid() == 0 else [Identity("user")]


def _needed() -> list[Path]:
    return sorted({Path(os.path.realpath(sys.base_prefix)), Path(sys.prefix), PROJECT})


def _opened(paths: Sequence[Path]) -> list[str]:
    """Return shell commands that mount an accessible directory over each inaccessible parent of these paths."""
    closed = {path: top for path in paths if (top := _first_closed(path)) is not None}
    commands = [f"exec {number}<{shlex.quote(str(path))}" for number, path in enumerate(closed, 3)]
    commands += [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(top))}" for top in sorted(set(closed.values()))]
    for number, path in enumerate(closed, 3):
        quoted = shlex.quote(str(path))
        commands += [f"mkdir -p {quoted}", f"mount --no-canonicalize --bind /proc/self/fd/{number} {quoted}"]
        commands += [f"exec {number}<&-"]
    return commands


def _first_closed(path: Path) -> Path | None:
    """Return the topmost directory of a path that other users cannot traverse, or None."""
    for directory in (*reversed(path.parents), path):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None
