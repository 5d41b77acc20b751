"""AuditFile: decisions as lines of JSON, appended to a file that only its owner may read.

A line is in the system's hands before the call goes on, so that no process that dies loses what it decided. When the
file was moved away, for rotation, a new one is begun.
"""

import os
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from time import monotonic, time

import structlog
from pydantic_core import to_json

from app.application.ports import AuditEntry

_LOOK_SECONDS = 1.0
_NAMES = tuple(field.name for field in fields(AuditEntry))
_values = attrgetter(*_NAMES)
_log = structlog.get_logger("tfo_mcp.audit")


class NoAudit:
    """The AuditLog of who wants none."""

    def write(self, entry: AuditEntry) -> None:
        """Keep nothing."""


class AuditFile:
    """The AuditLog in a file.

    Raises:
        OSError: the file cannot be opened for appending.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time) -> None:
        self._path = path
        self._clock = clock
        self._looked = monotonic()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._fails = False
        self._second, self._second_shown = -1, ""

    def write(self, entry: AuditEntry) -> None:
        """Append an entry; when that cannot be done the log says so, once."""
        line = to_json(self._line(entry)) + b"\n"
        try:
            self._follow_rotation()
            os.write(self._descriptor, line)
            self._fails = False
        except OSError as problem:
            if not self._fails:
                _log.error("the audit log cannot be written", reason=problem.strerror)
            self._fails = True

    def works(self) -> bool:
        """Tell whether an entry can be written, as far as that is known without writing one."""
        if not self._fails:
            return True
        try:
            os.close(self._open())
            return os.statvfs(self._path.parent).f_bavail > 0
        except OSError:
            return False

    def close(self) -> None:
        """Write nothing any more."""
        os.close(self._descriptor)

    def _line(self, entry: AuditEntry) -> dict[str, object]:
        now = self._clock()
        whole = int(now)
        if whole != self._second:
            self._second, self._second_shown = whole, datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        line: dict[str, object] = {"time": f"{self._second_shown}.{int((now - whole) * 1000):03d}Z"}
        for name, value in zip(_NAMES, _values(entry), strict=True):
            if value is not None and value != ():
                line[name] = value
        return line

    def _follow_rotation(self) -> None:
        now = monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            if os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
                return
        except FileNotFoundError:
            pass
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
