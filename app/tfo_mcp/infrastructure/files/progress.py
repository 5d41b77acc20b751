"""Progress reports of file work in worker threads, and its cancellation and deadline.

`tick` reports progress and raises when the work must stop. Must not know files.
"""

from math import inf
from time import monotonic

import anyio
from anyio import from_thread

from tfo_mcp.application.ports import Progress


class Abandoned(Exception):
    """Raised in work whose call was cancelled; never reaches a caller."""


class Report:
    """Reports the progress of one piece of work; used in its worker thread.

    Args:
        progress: receives the reports; None discards them.
        seconds: minimum seconds between two reports.
    """

    def __init__(self, progress: Progress | None, seconds: float = 0.1) -> None:
        self._progress = progress
        self._seconds = seconds
        self._next = monotonic() + seconds
        self._told = -1
        self._end = inf
        self._overdue: Exception = TimeoutError()
        self._abandoned = False
        self._telling: anyio.CancelScope | None = None

    def begin(self, limit_seconds: float, overdue: Exception) -> None:
        """Start or restart the work; after `limit_seconds`, `tick` raises `overdue`."""
        self._end, self._overdue = monotonic() + limit_seconds, overdue

    def abandon(self) -> None:
        """Cancel the work, because its call is gone: the next `tick` raises. Called in the event loop."""
        self._abandoned = True
        if self._telling is not None:
            self._telling.cancel()

    def tick(self, done: int, total: int | None = None) -> None:
        """Report the number of bytes or entries done; throttled, and skipped if the number has not grown.

        Raises:
            Abandoned: the work was cancelled.
            Exception: the time limit has passed; see `begin`.
        """
        now = monotonic()
        if self._abandoned:
            raise Abandoned
        if now > self._end:
            raise self._overdue
        if now < self._next:
            return
        self._next = now + self._seconds
        if self._progress is not None and done > self._told:
            self._told = done
            from_thread.run(self._tell, done, total)

    async def _tell(self, done: int, total: int | None) -> None:
        assert self._progress is not None
        if self._abandoned:
            return
        with anyio.CancelScope() as self._telling:
            await self._progress(done, total)


class Silence(Report):
    """A no-op report for instantaneous work, usable in any thread."""

    def __init__(self) -> None:
        super().__init__(None)

    def tick(self, done: int, total: int | None = None) -> None:
        """Do nothing."""
