"""Reads the processes below the supervisor from /proc.

The supervisor is their subreaper: an orphaned process becomes its child. All processes of a command are therefore its
descendants.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

from tfo_mcp.value_objects import value_object

_MOST_GENERATIONS = 10_000
_SECONDS_BETWEEN_COUNTS = 0.5


@value_object
class Process:
    """The status of a process: its id, the ids of its parent and process group, and its number of threads."""

    pid: int
    parent: int
    group: int
    threads: int


def process(pid: int) -> Process | None:
    """Return the status of the process with a process or thread id, None if it is gone."""
    with suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/stat", "rb") as status:
            fields = status.read().rpartition(b")")[2].split()
        return Process(pid, int(fields[1]), int(fields[2]), int(fields[17]))
    return None


def descends_from(ancestor: int, pid: int) -> bool:
    """Return whether a process or thread is a descendant of another process."""
    for _ in range(_MOST_GENERATIONS):
        found = process(pid)
        if found is None or found.parent == 0:
            return False
        if found.parent == ancestor:
            return True
        pid = found.parent
    return False


def every_process() -> Iterator[Process]:
    """Yield all visible processes; none without /proc."""
    names: list[str] = []
    with suppress(OSError):
        names = os.listdir("/proc")
    for name in names:
        if name.isdigit() and (found := process(int(name))) is not None:
            yield found


def children(parent: int) -> list[int]:
    """Return the ids of a process's children."""
    return [found.pid for found in every_process() if found.parent == parent]


def count_below(ancestor: int) -> int:
    """Return the number of threads of all descendants of a process."""
    by_parent: dict[int, list[Process]] = {}
    for found in every_process():
        by_parent.setdefault(found.parent, []).append(found)
    total, pending = 0, [ancestor]
    while pending:
        for found in by_parent.get(pending.pop(), ()):
            total += found.threads
            pending.append(found.pid)
    return total


def count_of_user(user: int) -> int:
    """Return the number of threads of all visible processes of a user."""
    total = 0
    for found in every_process():
        with suppress(OSError):
            if os.stat(f"/proc/{found.pid}").st_uid == user:
                total += found.threads
    return total


class Census:
    """Checks whether a process has too many descendants.

    Counting them is slow, so they are counted twice a second, and when the machine's total has grown enough.
    """

    def __init__(self, ancestor: int, most: int) -> None:
        self._ancestor = ancestor
        self._most = most
        self._count = 0
        self._total = _threads_of_machine()
        self._next = monotonic() + _SECONDS_BETWEEN_COUNTS

    def too_many(self) -> bool:
        """Count if needed, and return whether there are too many."""
        total, now = _threads_of_machine(), monotonic()
        if self._count + total - self._total > self._most or now >= self._next:
            self._count, self._total = count_below(self._ancestor), total
            self._next = now + _SECONDS_BETWEEN_COUNTS
        return self._count > self._most


def _threads_of_machine() -> int:
    with suppress(OSError, ValueError, IndexError), open("/proc/loadavg", "rb") as load:
        return int(load.read().split()[3].partition(b"/")[2])
    return 0
