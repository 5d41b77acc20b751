"""AuditFile: appends audit entries as JSON lines to a file that only its owner may read.

Each line is written to the operating system before the call continues, so that a crash of the process loses no entry.
Lines are printable ASCII. After a write that a full disk cut short, by any process, the next entry starts on a new
line. A large file is rotated: renamed to `.1`, older ones to `.2` and so on. If another program moves the file away, a
new one is created. Entries that cannot be written are counted, and the count is written once that is possible.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from time import monotonic, time

import structlog

from tfo_mcp.application.ports import AuditEntry

_LOOK_SECONDS = 1.0
_ROTATE_AGAIN_SECONDS = 60.0  # after a rotation that failed
_MOST_BYTES = 64 * 1024 * 1024
_MOST_FILES = 5
_LONGEST_TEXT = 1024
_LONGEST_ARGUMENT = 200
_MOST_ARGUMENTS = 64
_NAMES = tuple(field.name for field in fields(AuditEntry))
_values = attrgetter(*_NAMES)
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_log = structlog.get_logger("tfo_mcp.audit")


class AuditFile:
    """The AuditLog in a file.

    Args:
        most_bytes: size above which the file is rotated; 0 leaves rotation to other programs.
        files: number of rotated files to keep.

    Raises:
        OSError: the file cannot be opened for appending.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int = _MOST_BYTES,
        files: int = _MOST_FILES,
        clock: Callable[[], float] = time,
    ) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._files = files
        self._clock = clock
        self._looked = monotonic()
        self._rotate_after = 0.0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._end = 0  # size of the file after our last write; any other size means that another process has written
        self._is_torn = False  # the file ends in the middle of a line
        self._fails = False
        self._lost = 0
        self._second, self._second_shown = -1, ""

    def write(self, entry: AuditEntry) -> bool:
        """Append an entry and return whether that succeeded; only the first of several failures is logged."""
        line = self._encoded(members_of(entry))
        try:
            self._prepare(len(line))
            self._report_lost()
            self._append(line)
        except OSError as problem:
            self._lost += 1
            if not self._fails:
                _log.error("the audit log cannot be written", reason=problem.strerror)
            self._fails = True
            return False
        self._fails = False
        return True

    def works(self) -> bool:
        """Return whether entries can be written; after a failure, checks that by writing the count of lost entries."""
        if not self._fails:
            return True
        try:
            self._prepare(0)
            self._report_lost()
        except OSError:
            return False
        self._fails = False
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _encoded(self, members: Mapping[str, object]) -> bytes:
        now = self._clock()
        whole = int(now)
        if whole != self._second:
            self._second, self._second_shown = whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        line = {"time": f"{self._second_shown}.{int((now - whole) * 1000):03d}Z", **members}
        return _encode(line).replace("\x7f", "\\u007f").encode("ascii") + b"\n"

    def _report_lost(self) -> None:
        if self._lost:
            reason = "entries could not be written"
            self._append(self._encoded({"event": "audit", "decision": "resumed", "reason": reason, "lost": self._lost}))
            self._lost = 0

    def _append(self, line: bytes) -> None:
        """Append a line.

        Raises:
            OSError: the line could not be written completely.
        """
        data = b"\n" + line if self._is_torn else line
        written = os.write(self._descriptor, data)
        self._end += written
        if written:
            self._is_torn = data[written - 1 : written] != b"\n"
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _prepare(self, size: int) -> None:
        """Reopen or rotate the file if needed before `size` bytes are written, and detect an incomplete last line."""
        now = monotonic()
        if self._fails or now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._follow()
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        if self._most_bytes and 0 < status.st_size > self._most_bytes - size and now >= self._rotate_after:
            self._rotate(now)
            status = os.fstat(self._descriptor)
        if status.st_size != self._end:
            self._end = status.st_size
            self._is_torn = self._end > 0 and os.pread(self._descriptor, 1, self._end - 1) != b"\n"

    def _follow(self) -> None:
        """Create a new file if ours was moved away."""
        if not self._is_current():
            self._reopen()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _rotate(self, now: float) -> None:
        """Rotate the files, unless another process does; if that fails, the file continues to grow."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        try:
            if self._is_current():
                self._shift(os.path.realpath(self._path))
            self._reopen()
        except OSError as problem:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._rotate_after = now + _ROTATE_AGAIN_SECONDS
            _log.error("the audit log cannot be rotated", reason=problem.strerror)

    def _shift(self, path: str) -> None:
        for number in range(self._files - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        os.replace(path, f"{path}.1")
        surplus = self._files + 1  # left from a larger setting
        with suppress(FileNotFoundError):
            while True:
                os.unlink(f"{path}.{surplus}")
                surplus += 1

    def _reopen(self) -> None:
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor, self._end = descriptor, 0
        self._is_torn = False

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def members_of(entry: AuditEntry) -> dict[str, object]:
    """Return the members of an entry that are set, shortened, as JSON values."""
    members: dict[str, object] = {}
    for name, value in zip(_NAMES, _values(entry), strict=True):
        if isinstance(value, str):
            members[name] = value[:_LONGEST_TEXT]
        elif value is not None and name != "arguments":
            members[name] = value
    if entry.arguments:
        members["arguments"] = [argument[:_LONGEST_ARGUMENT] for argument in entry.arguments[:_MOST_ARGUMENTS]]
    return members


class NoAudit:
    """A no-op AuditLog."""

    def write(self, entry: AuditEntry) -> bool:
        """Discard the entry."""
        return True

    def works(self) -> bool:
        """Return True: there is nothing that could fail."""
        return True

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
