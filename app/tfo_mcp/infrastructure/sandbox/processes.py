"""The processes below the supervisor, read from /proc.

Whatever loses its parent there becomes the supervisor's child, so all that a command has started are its descendants.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

_MOST_GENERATIONS = 10_000
_SECONDS_BETWEEN_COUNTS = 0.5


@dataclass(frozen=True, slots=True)
class Process:
    """One line of a process's status: its id, its parent's, its group's, and how many threads it has."""

    pid: int
    parent: int
    group: int
    threads: int


def process(pid: int) -> Process | None:
    """Return what is known of the process of a process or thread id, None when it is gone."""
    with suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/stat", "rb") as status:
            fields = status.read().rpartition(b")")[2].split()
        return Process(pid, int(fields[1]), int(fields[2]), int(fields[17]))
    return None


def descends_from(ancestor: int, pid: int) -> bool:
    """Tell whether a process or thread is a descendant of another process."""
    for _ in range(_MOST_GENERATIONS):
        found = process(pid)
        if found is None or found.parent == 0:
            return False
        if found.parent == ancestor:
            return True
        pid = found.parent
    return False


def every_process() -> Iterator[Process]:
    """Yield all processes that can be seen; none where there is no /proc."""
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
    """Return how many threads all descendants of a process have together."""
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
    """Return how many threads all processes of a user have together, as far as they can be seen."""
    total = 0
    for found in every_process():
        with suppress(OSError):
            if os.stat(f"/proc/{found.pid}").st_uid == user:
                total += found.threads
    return total


class Census:
    """Tells whether a process has too many descendants. To count them takes long, so the machine's total is watched."""

    def __init__(self, ancestor: int, most: int) -> None:
        self._ancestor = ancestor
        self._most = most
        self._count = 0
        self._total = _threads_of_machine()
        self._next = monotonic() + _SECONDS_BETWEEN_COUNTS

    def too_many(self) -> bool:
        """Count, if there is reason to, and tell whether there are too many."""
        total, now = _threads_of_machine(), monotonic()
        if self._count + total - self._total > self._most or now >= self._next:
            self._count, self._total = count_below(self._ancestor), total
            self._next = now + _SECONDS_BETWEEN_COUNTS
        return self._count > self._most


def _threads_of_machine() -> int:
    with suppress(OSError, ValueError, IndexError), open("/proc/loadavg", "rb") as load:
        return int(load.read().split()[3].partition(b"/")[2])
    return 0
