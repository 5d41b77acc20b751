"""Keeps outputs of commands that were too long for a result, readable for an hour.

They are in unnamed files, which disappear with the process, even if it is killed. Over the total limit, the oldest
complete outputs are deleted first; an output that is still being written is truncated instead.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from threading import Lock
from time import monotonic
from typing import IO

from tfo_mcp.domain.errors import FileMissing, OperationFailed

KEPT_SECONDS = 3600.0
_MOST_OUTPUTS = 256
_MOST_AT_ONCE = 1024 * 1024


@dataclass(slots=True)
class _Saved:
    """A stored output, with its owner and expiry; `is_written` is whether it may still grow, `is_cut` if truncated."""

    owner: str
    file: IO[bytes]
    until: float
    size: int = 0
    is_written: bool = True
    is_cut: bool = False


class Spool:
    """Writes one output to disk; used in the thread that reads the command's pipe."""

    def __init__(self, outputs: "SavedOutputs", name: str) -> None:
        self._outputs = outputs
        self.name = name

    def write(self, data: bytes) -> None:
        """Append to the output, as far as there is room."""
        self._outputs.append(self.name, data)

    def close(self) -> int | None:
        """Complete the output; return the number of bytes stored from its beginning, None if there are none."""
        return self._outputs.complete(self.name)


class SavedOutputs:
    """Keeps outputs by unguessable names. Thread-safe.

    Args:
        most_bytes: maximum bytes on disk of all outputs together.
        clock: returns monotonic seconds.
    """

    def __init__(self, most_bytes: int, clock: Callable[[], float] = monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._by_name: dict[str, _Saved] = {}
        self._lock = Lock()

    def begin(self, owner: str) -> Spool | None:
        """Start an output of this owner; return None if the system cannot create a file for it."""
        try:
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - kept open for an hour
        except OSError:
            return None
        name = token_hex(12)
        with self._lock:
            self._make_room(0, outputs=1)
            self._by_name[name] = _Saved(owner, file, self._clock() + KEPT_SECONDS)
        return Spool(self, name)

    def append(self, name: str, data: bytes) -> None:
        """Append to an output; once it was truncated, nothing more is appended."""
        with self._lock:
            saved = self._by_name.get(name)
            if saved is None or saved.is_cut:
                return
            self._make_room(len(data))
            kept = data[: max(0, self._most_bytes - self._size())]
            try:
                written = saved.file.write(kept) if kept else 0
            except OSError:  # the disk is full
                written = 0
            saved.size += written
            saved.is_cut = written < len(data)

    def complete(self, name: str) -> int | None:
        """Mark an output as complete; return its size in bytes, None if nothing is stored."""
        with self._lock:
            saved = self._by_name.get(name)
            if saved is None:
                return None
            saved.is_written = False
            if saved.size == 0:
                self._forget(name)
                return None
            return saved.size

    def read(self, name: str, owner: str, first: int, last: int | None) -> bytes:
        """Return the bytes of an output from `first` to `last`, excluded; None is the end.

        Raises:
            FileMissing: the output does not exist, has expired, or has another owner.
            OperationFailed: the range is longer than 1 MiB.
        """
        with self._lock:
            saved = self._by_name.get(name)
            if saved is None or saved.owner != owner or saved.until <= self._clock():
                raise FileMissing("There is no such output, or it has expired: outputs are kept for an hour")
            size, descriptor = saved.size, os.dup(saved.file.fileno())  # stays open if the output is deleted meanwhile
        try:
            end = size if last is None else min(last, size)
            if end - first > _MOST_AT_ONCE:
                raise OperationFailed(
                    f"The output has {size} bytes, and {_MOST_AT_ONCE} can be read at once: append a range of bytes "
                    f"to the URI, such as /0-{_MOST_AT_ONCE}"
                )
            return os.pread(descriptor, max(0, end - first), first)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Delete all outputs."""
        with self._lock:
            for name in list(self._by_name):
                self._forget(name)

    def _make_room(self, size: int, outputs: int = 0) -> None:
        """Delete expired outputs, and the oldest complete ones until `size` more bytes and outputs have room."""
        now = self._clock()
        for name, saved in list(self._by_name.items()):
            is_over = len(self._by_name) + outputs > _MOST_OUTPUTS or self._size() + size > self._most_bytes
            if not saved.is_written and (is_over or saved.until <= now):
                self._forget(name)

    def _forget(self, name: str) -> None:
        self._by_name.pop(name).file.close()

    def _size(self) -> int:
        return sum(saved.size for saved in self._by_name.values())
