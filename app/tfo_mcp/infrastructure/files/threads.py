"""Worker threads of file operations, shared fairly among accounts, with separate pools for short and long work.

Work starts in the short pool. If it takes longer than two seconds, it restarts in the long pool, where each account has
a single thread. A restart is safe, because a file is changed only in the last step. Work that is known to be long
(digests, whole trees) starts in the long pool. See docs/adr/0019. Must not know files.
"""

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from tfo_mcp.application.fair_limiter import FairLimiter
from tfo_mcp.application.fair_threads import FairThreads
from tfo_mcp.application.ports import Progress
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.progress import Report

ResultT = TypeVar("ResultT")

_SHORT = (16, 4)  # threads in all, and per account; the more threads compute, the longer the event loop waits
_LONG = (8, 1)  # a digest keeps a processor busy: one account must not occupy all threads
_SEARCHES = (4, 2)
_ALONE = (2, 1)
_SHORT_SECONDS = 2.0
_LONG_SECONDS = 60.0


class MoreMemoryNeeded(Exception):
    """Raised by a search that must restart with more memory."""


class _TakesLong(Exception):
    """Raised in work that exceeds the time of the short pool."""


class FileThreads:
    """Runs file work in worker threads.

    Args:
        report_seconds: seconds between two progress reports.
        short_seconds: maximum seconds in the short pool, after which work restarts in the long pool.
        long_seconds: maximum seconds of any work.
    """

    def __init__(
        self, report_seconds: float, short_seconds: float = _SHORT_SECONDS, long_seconds: float = _LONG_SECONDS
    ) -> None:
        self._report_seconds = report_seconds
        self._short_seconds = short_seconds
        self._long_seconds = long_seconds
        self._short = FairThreads(*_SHORT)
        self._long = FairThreads(*_LONG)
        self._searches = FairThreads(*_SEARCHES)
        self._alone = FairLimiter(*_ALONE)

    async def short(self, work: Callable[[Report], ResultT], progress: Progress | None = None) -> ResultT:
        """Return the result of the work, which restarts in the long pool if it takes too long in the short one.

        Raises:
            OperationFailed: the work took longer than `long_seconds`.
        """
        report = Report(progress, self._report_seconds)
        try:
            return await self._run(self._short, work, report, self._short_seconds, _TakesLong())
        except _TakesLong:
            return await self._run(self._long, work, report, self._long_seconds, _too_long(self._long_seconds))

    async def long(self, work: Callable[[Report], ResultT], progress: Progress | None = None) -> ResultT:
        """Return the result of the work, which starts in the long pool.

        Raises:
            OperationFailed: the work took longer than `long_seconds`.
        """
        report = Report(progress, self._report_seconds)
        return await self._run(self._long, work, report, self._long_seconds, _too_long(self._long_seconds))

    async def bounded(self, work: Callable[[Report], ResultT], progress: Progress | None = None) -> ResultT:
        """Return the result of work in the short pool that never restarts, since its input is limited in size.

        Raises:
            OperationFailed: the work took longer than `long_seconds`.
        """
        report = Report(progress, self._report_seconds)
        return await self._run(self._short, work, report, self._long_seconds, _too_long(self._long_seconds))

    async def search(
        self, work: Callable[[Report, float, bool], ResultT], seconds: float, progress: Progress | None = None
    ) -> ResultT:
        """Return the result of a search; one that needs more memory restarts while its account has no other search.

        The work gets its report, its deadline (as `time.monotonic`), and whether this is the last attempt. Time spent
        queued counts toward `seconds`.
        """
        report, deadline = Report(progress, self._report_seconds), monotonic() + seconds
        try:
            return await self._searches.run(lambda: work(report, deadline, False), report.abandon)
        except MoreMemoryNeeded:
            async with self._alone.turn():
                run = self._searches.run
                return await run(lambda: work(report, deadline, True), report.abandon, slots=_SEARCHES[1])

    @staticmethod
    async def _run(
        threads: FairThreads, work: Callable[[Report], ResultT], report: Report, seconds: float, overdue: Exception
    ) -> ResultT:
        def run() -> ResultT:
            report.begin(seconds, overdue)
            return work(report)

        return await threads.run(run, report.abandon)


def _too_long(seconds: float) -> OperationFailed:
    return OperationFailed(
        f"This took longer than {seconds:g} seconds and was stopped: ask for less at once, such as a smaller file "
        "or directory; a recursive deletion may have deleted part of the directory"
    )
