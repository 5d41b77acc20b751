"""Returns freed memory to the system, so that a burst of large messages does not enlarge the process permanently.

glibc raises its mmap threshold to the largest block that was freed, up to 32 MiB. Later blocks of that size come from
heaps, which shrink only at their end (mallopt(3), malloc_trim(3)). A no-op with another C library. Must not know its
callers; the server's housekeeping calls it periodically.
"""

import ctypes
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from time import monotonic

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MAPPED_BYTES = 2 * 1024 * 1024  # above most results, for which a mapping each time costs a third of a large read
_TRIM_BYTES = 4 * 1024 * 1024  # at the end of the heap; more would be returned and taken back again and again
_ARENAS = 2
_GROWTH_BYTES = 4 * 1024 * 1024
_CHANGE_BYTES = 1024 * 1024
_SHORTEST_SECONDS, _LONGEST_SECONDS = 4.0, 64.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Allocator:
    """The process's allocator, with fixed thresholds.

    Memory is trimmed while the process is larger than at its smallest, with exponential backoff while trimming has no
    effect.
    """

    def __init__(self) -> None:
        self._trim = _configured()
        self._smallest = self._last = _resident_bytes()
        self._wait_seconds = _SHORTEST_SECONDS
        self._trimmed_at = monotonic()

    def release(self) -> None:
        """Collect reference cycles and return freed memory to the system, if the process has grown.

        Takes milliseconds. Call it in the thread of the event loop: finalizers, such as those of abandoned coroutines,
        run here.
        """
        since, before = monotonic() - self._trimmed_at, _resident_bytes()
        self._smallest = min(self._smallest, before)
        is_changed = abs(before - self._last) > _CHANGE_BYTES
        if (
            self._trim is None
            or since < (_SHORTEST_SECONDS if is_changed else self._wait_seconds)
            or before - self._smallest <= _GROWTH_BYTES
        ):
            return
        gc.collect()
        self._trim(0)
        self._last = _resident_bytes()
        self._trimmed_at = monotonic()
        has_effect = is_changed or before - self._last > _CHANGE_BYTES
        self._wait_seconds = _SHORTEST_SECONDS if has_effect else min(2 * self._wait_seconds, _LONGEST_SECONDS)


@cache
def _configured() -> Callable[[int], int] | None:
    """Fix the thresholds once; return `malloc_trim`, None if the C library lacks it."""
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):
        trim: Callable[[int], int] = libc.malloc_trim
        libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        return trim
    return None


def _resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 if the system does not report it."""
    with suppress(OSError), open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * _PAGE_BYTES
    return 0
