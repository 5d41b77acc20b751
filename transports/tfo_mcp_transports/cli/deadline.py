"""The exit deadline: after a signal, the process ends in time, whatever a client, a plugin or a thread does.

A graceful shutdown is normally faster and does not reach it. The deadline runs in a thread of its own, so that a
blocked event loop or a thread that never ends cannot delay it.
"""

import os
from collections.abc import Callable
from threading import Thread
from time import sleep

import structlog

_MARGIN_SECONDS = 0.75  # after the drain, for responses, streams and buffered output
_FLUSH_SECONDS = 0.2
_log = structlog.get_logger("tfo_mcp.end")


class ExitDeadline:
    """Ends the process when its time is over.

    Args:
        drain_seconds: maximum time for the calls in flight.
        flush: writes the buffered log records.
    """

    def __init__(self, drain_seconds: float, flush: Callable[[], object]) -> None:
        self._seconds = drain_seconds + _MARGIN_SECONDS
        self._flush = flush
        self._started = False

    def start(self) -> None:
        """Start the deadline; a no-op if it has started. Safe to call from a signal handler."""
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
        _log.warning("the server has not ended in time and is terminated", seconds=self._seconds)
        self._flush()
