"""The mount table: finds the other paths of a file, since a directory can be mounted several times.

Reads /proc/self/mountinfo (proc_pid_mountinfo(5)) if it exists.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress

from tfo_mcp.value_objects import value_object

_ESCAPED = re.compile(r"\\([0-7]{3})")


@value_object
class Mount:
    """A mount: the device of its file system, the mounted directory of that, and the mount point."""

    device: str
    root: str
    point: str


def other_names(path: str, mounts: Sequence[Mount]) -> tuple[str, ...]:
    """Return the other paths of the file or directory at a resolved path, or of parts of it."""
    holding = [
        one for one in reversed(mounts) if _rest(path, one.point) is not None
    ]  # of several mounts at one point, the last one is visible
    own = max(holding, key=lambda one: len(one.point), default=None)
    if own is None:
        return ()
    inside = _joined(own.root, _rest(path, own.point) or "")
    found: dict[str, None] = {}
    for mount in mounts:
        if mount.device != own.device or mount is own:
            continue
        if (rest := _rest(inside, mount.root)) is not None:
            name = _joined(mount.point, rest)
            if _is_same(name, path):
                found[name] = None
        elif _rest(mount.root, inside) is not None:
            found[mount.point] = None
    found.pop(path, None)
    return tuple(found)


def mount_table() -> Sequence[Mount]:
    """Return the mounts of this process's namespace, in mount order."""
    lines: list[str] = []
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        lines = table.read().splitlines()
    return [_mount(line.split(" ")) for line in lines]


def _mount(fields: Sequence[str]) -> Mount:
    return Mount(fields[2], _plain(fields[3]), _plain(fields[4]))


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def _rest(path: str, top: str) -> str | None:
    """Return the rest of a path below a directory, with a leading slash; None if the path is not below it."""
    if top == "/":
        return path if path != "/" else ""
    if path == top:
        return ""
    return path[len(top) :] if path.startswith(f"{top}/") else None


def _joined(top: str, rest: str) -> str:
    return (top.rstrip("/") + rest) or "/"


def _is_same(name: str, path: str) -> bool:
    """Return whether two paths lead to the same file; a file that does not exist yet counts as the same."""
    try:
        there = os.stat(path)
    except OSError:
        return True
    try:
        return os.path.samestat(os.stat(name), there)
    except OSError:
        return False
