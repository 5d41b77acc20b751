"""Starts the store process of this user on demand.

The process is detached: it outlives the server that started it, and a signal to that server's group does not reach it.
If two servers start one at the same time, the second process finds the lock taken and ends.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from tfo_mcp.domain.errors import StateUnavailable
from tfo_mcp.infrastructure.telemetry_store.places import StorePlaces

_FAILED_SECONDS = 5.0
_MAX_LOG_BYTES = 1024 * 1024
_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


class StoreLauncher:
    """Starts `tfo-mcp telemetry serve`.

    Args:
        places: the log of the process is there.
        config: the configuration file of this server, None without one.
    """

    def __init__(self, places: StorePlaces, config: Path | None) -> None:
        self._places = places
        self._arguments = [] if config is None else ["--config", str(config)]
        self._child: int | None = None
        self._failed_at: float | None = None

    def __call__(self) -> None:
        """Start the process unless the last one is still starting or has just failed.

        Raises:
            StateUnavailable: it has just failed.
            OSError: it cannot be started.
        """
        if self._is_starting():
            return
        if self._failed_at is not None and monotonic() - self._failed_at < _FAILED_SECONDS:
            raise StateUnavailable("The telemetry store does not start: `tfo-mcp telemetry serve` shows the reason")
        self._places.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._child = _spawn(self._places.log, ["telemetry", "serve", *self._arguments])

    def _is_starting(self) -> bool:
        if self._child is None:
            return False
        try:
            child, status = os.waitpid(self._child, os.WNOHANG)
        except ChildProcessError:
            child, status = self._child, 0
        if child == 0:
            return True
        self._child = None
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            self._failed_at = monotonic()
        return False


def _spawn(log: Path, arguments: Sequence[str]) -> int:
    if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
        log.unlink(missing_ok=True)
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tfo_mcp", *arguments],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(log), _LOG_FLAGS, 0o600),
        ],
        setsid=True,
    )
