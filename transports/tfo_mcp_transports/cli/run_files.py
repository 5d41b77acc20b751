"""Run files: one for each running server, by which `tfo-mcp reload` finds the server and reads the outcome.

The server's process locks its file, so that a stale file of a killed process can be recognized.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tfo_mcp.bootstrap import Settings, state_directory
from tfo_mcp.value_objects import value_object


@value_object
class RunningServer:
    """A running server of this user: its process id, its configuration file and its reloads.

    `reloads` is their number; `problems` are the errors of the last one, empty after a success.
    """

    pid: int
    config: str | None
    reloads: int
    problems: tuple[str, ...]


class RunFile:
    """The run file of this process, which exists inside the context. Best-effort: write errors are ignored."""

    def __init__(self, settings: Settings) -> None:
        self._path = _directory() / f"{os.getpid()}.json"
        self._config = None if settings.source is None else str(settings.source)
        self._reloads = 0
        self._descriptor: int | None = None

    def __enter__(self) -> "RunFile":
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._write(())
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def leave_to_child(self) -> None:
        """In a forked process, close the file: it is its parent's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def reloaded(self, problems: Sequence[str]) -> None:
        """Record a reload of the settings and its problems."""
        self._reloads += 1
        self._write(problems)

    def _write(self, problems: Sequence[str]) -> None:
        if self._descriptor is None:
            return
        known = {"pid": os.getpid(), "config": self._config, "reloads": self._reloads, "problems": list(problems)}
        with suppress(OSError):
            text = json.dumps(known).encode()
            os.pwrite(self._descriptor, text.ljust(os.fstat(self._descriptor).st_size), 0)


def running_servers() -> Iterator[RunningServer]:
    """Yield the running servers of this user, ordered by the change time of their files."""
    with suppress(OSError):
        for path in sorted(_directory().glob("*.json"), key=lambda path: path.stat().st_ctime):
            found = _read(path)
            if found is not None:
                yield found


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path) -> RunningServer | None:
    try:
        with _opened(path) as descriptor:
            if not _is_locked(descriptor):
                path.unlink()  # its process was killed
                return None
            known = json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        return RunningServer(known["pid"], known["config"], known["reloads"], tuple(known["problems"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None  # the server has just ended, or has not written its file yet


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _directory() -> Path:
    return state_directory() / "running"
