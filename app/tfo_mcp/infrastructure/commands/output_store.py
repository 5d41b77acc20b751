"""Outputs of commands that were too long for an answer, kept to be read for an hour.

They lie in files without a name, which are gone with the process whatever becomes of it. When all together are over the
limit the oldest go first, but none that is still being written: of that, what has no more room is left out.
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
    """An output: whose it is, its bytes, until when it is kept; whether more may come, whether some was left out."""

    owner: str
    file: IO[bytes]
    until: float
    size: int = 0
    is_written: bool = True
    is_cut: bool = False


class Spool:
    """One output on its way to the disk; written by the thread that reads the command's pipe."""

    def __init__(self, outputs: "SavedOutputs", name: str) -> None:
        self._outputs = outputs
        self.name = name

    def write(self, data: bytes) -> None:
        """Keep more of the output, as far as there is room."""
        self._outputs.append(self.name, data)

    def close(self) -> int | None:
        """Say that nothing more comes; return how many bytes from the beginning on are kept, None when none are."""
        return self._outputs.complete(self.name)


class SavedOutputs:
    """Keeps outputs by unguessable names. May be used by many threads.

    Args:
        most_bytes: how much all of them together may take of the disk.
        clock: tells the seconds.
    """

    def __init__(self, most_bytes: int, clock: Callable[[], float] = monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._by_name: dict[str, _Saved] = {}
        self._lock = Lock()

    def begin(self, owner: str) -> Spool | None:
        """Begin to keep an output of this owner's; None when the system gives no file for it."""
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
        """Keep more of an output; once some of it had no room, nothing more."""
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
        """Mark an output as one that nothing is added to; return its size, None when nothing of it is kept."""
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
        """Return bytes of an output, from `first` up to `last`, which is not included.

        Raises:
            FileMissing: there is no such output, or none of this owner's.
            OperationFailed: the range is too long.
        """
        with self._lock:
            saved = self._by_name.get(name)
            if saved is None or saved.owner != owner or saved.until <= self._clock():
                raise FileMissing("There is no such output, or it is too old: outputs are kept for an hour")
            size, descriptor = saved.size, os.dup(saved.file.fileno())  # which stays whatever becomes of the output
        try:
            end = size if last is None else min(last, size)
            if end - first > _MOST_AT_ONCE:
                raise OperationFailed(
                    f"The output has {size} bytes, and {_MOST_AT_ONCE} can be read at once: put a range of bytes "
                    f"behind the URI, as in /0-{_MOST_AT_ONCE}"
                )
            return os.pread(descriptor, max(0, end - first), first)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Throw all outputs away."""
        with self._lock:
            for name in list(self._by_name):
                self._forget(name)

    def _make_room(self, size: int, outputs: int = 0) -> None:
        """Throw away what is too old, and of what is complete the oldest, until so much more has room."""
        now = self._clock()
        for name, saved in list(self._by_name.items()):
            is_over = len(self._by_name) + outputs > _MOST_OUTPUTS or self._size() + size > self._most_bytes
            if not saved.is_written and (is_over or saved.until <= now):
                self._forget(name)

    def _forget(self, name: str) -> None:
        self._by_name.pop(name).file.close()

    def _size(self) -> int:
        return sum(saved.size for saved in self._by_name.values())
