"""The deadline of the process: whatever a client, a plugin or a thread does, it leaves in time once it was told to.

An orderly end comes first and needs none of this. A thread that never ends, or a loop that never turns, cannot hinder a
thread of our own that waits here.
"""

import os
from collections.abc import Callable
from threading import Thread
from time import sleep

import structlog

_MARGIN_SECONDS = 0.75  # after the draining, for answers, streams and what is buffered
_FLUSH_SECONDS = 0.2
_log = structlog.get_logger("tfo_mcp.end")


class ExitDeadline:
    """Ends the process when its time is over.

    Args:
        drain_seconds: how long calls may run on.
        flush: writes what is logged and not written yet.
    """

    def __init__(self, drain_seconds: float, flush: Callable[[], object]) -> None:
        self._seconds = drain_seconds + _MARGIN_SECONDS
        self._flush = flush
        self._started = False

    def start(self) -> None:
        """Let the time begin; it begins once. May be called by a signal handler."""
        if not self._started:
            self._started = True
            Thread(target=self._run, name="exit-deadline", daemon=True).start()

    def _run(self) -> None:
        sleep(self._seconds)
        flushing = Thread(target=self._leave_word, name="exit-flush", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)
        os._exit(0)

    def _leave_word(self) -> None:
        _log.warning("the server has not ended in time, and is ended now", seconds=self._seconds)
        self._flush()
