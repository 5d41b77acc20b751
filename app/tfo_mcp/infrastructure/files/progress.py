"""How file work in a worker thread reports progress, and learns that it is to end: its call or its time is over."""

from math import inf
from time import monotonic

import anyio
from anyio import from_thread

from tfo_mcp.application.ports import Progress


class Abandoned(Exception):
    """The work's call was cancelled; nobody sees this."""


class Report:
    """One piece of work's report; used in the thread that does the work.

    Args:
        seconds: how much time is between two reports.
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
        """Let the work begin, or begin again; after so many seconds `tick` raises `overdue`."""
        self._end, self._overdue = monotonic() + limit_seconds, overdue

    def abandon(self) -> None:
        """Let the work end: nobody waits for it. Called in the event loop."""
        self._abandoned = True
        if self._telling is not None:
            self._telling.cancel()

    def tick(self, done: int, total: int | None = None) -> None:
        """Report that so many bytes or entries are done; passed on now and then only, and only if they are more.

        Raises:
            Abandoned: nobody waits for the work.
            Exception: its time is over; see `begin`.
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
    """The report of work that takes no time, and may be done by any thread."""

    def __init__(self) -> None:
        super().__init__(None)

    def tick(self, done: int, total: int | None = None) -> None:
        """Say nothing."""
