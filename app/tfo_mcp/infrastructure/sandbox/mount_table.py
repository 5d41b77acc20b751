"""The mount table: under which other names what lies at a path can be reached, since directories can be mounted twice.

Reads /proc/self/mountinfo (proc_pid_mountinfo(5)), where there is one.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount: its file system's device, the directory of that which is mounted, and where."""

    device: str
    root: str
    point: str


def other_names(path: str, mounts: Sequence[Mount]) -> tuple[str, ...]:
    """Return the other paths at which what lies at a path, links resolved, or some of it, can be reached."""
    holding = [
        one for one in reversed(mounts) if _rest(path, one.point) is not None
    ]  # of one point the last one is seen
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
    """Return what is mounted in this process's namespace, in the order in which it was."""
    lines: list[str] = []
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        lines = table.read().splitlines()
    return [_mount(line.split(" ")) for line in lines]


def _mount(fields: Sequence[str]) -> Mount:
    return Mount(fields[2], _plain(fields[3]), _plain(fields[4]))


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def _rest(path: str, top: str) -> str | None:
    """Return what follows a directory in a path, with a slash before it; None when the path lies elsewhere."""
    if top == "/":
        return path if path != "/" else ""
    if path == top:
        return ""
    return path[len(top) :] if path.startswith(f"{top}/") else None


def _joined(top: str, rest: str) -> str:
    return (top.rstrip("/") + rest) or "/"


def _is_same(name: str, path: str) -> bool:
    """Tell whether two paths lead to the same; something that is not there yet may come under both."""
    try:
        there = os.stat(path)
    except OSError:
        return True
    try:
        return os.path.samestat(os.stat(name), there)
    except OSError:
        return False
