"""Worker threads of file work: accounts get them in turns, and long work has threads apart from short work.

Work begins as short work. What takes longer than two seconds begins again among the long work, where one account has a
single thread; it can begin again, since a file is changed in its last step. Work that is known to be long (digests,
whole trees) begins there. See docs/adr/0019. Knows no file.
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

_SHORT = (16, 4)  # threads at once, and for one account; the more of them compute, the longer the event loop waits
_LONG = (8, 1)  # a digest keeps a processor busy: one client leaves the others to others
_SEARCHES = (4, 2)
_ALONE = (2, 1)
_SHORT_SECONDS = 2.0
_LONG_SECONDS = 60.0


class MoreMemoryNeeded(Exception):
    """Raised by a search that is to begin again with more memory."""


class _TakesLong(Exception):
    """The work is not short."""


class FileThreads:
    """Runs file work.

    Args:
        report_seconds: how often work that takes long reports its progress.
        short_seconds: how long short work may take before it begins again as long work.
        long_seconds: how long work may take.
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
        """Return what the work returns, which may begin again if it takes long.

        Raises:
            OperationFailed: it took longer than a minute.
        """
        report = Report(progress, self._report_seconds)
        try:
            return await self._run(self._short, work, report, self._short_seconds, _TakesLong())
        except _TakesLong:
            return await self._run(self._long, work, report, self._long_seconds, _too_long(self._long_seconds))

    async def long(self, work: Callable[[Report], ResultT], progress: Progress | None = None) -> ResultT:
        """Return what the work returns.

        Raises:
            OperationFailed: it took longer than a minute.
        """
        report = Report(progress, self._report_seconds)
        return await self._run(self._long, work, report, self._long_seconds, _too_long(self._long_seconds))

    async def bounded(self, work: Callable[[Report], ResultT], progress: Progress | None = None) -> ResultT:
        """Return what short work returns that never begins again: its input has a limit.

        Raises:
            OperationFailed: it took longer than a minute.
        """
        report = Report(progress, self._report_seconds)
        return await self._run(self._short, work, report, self._long_seconds, _too_long(self._long_seconds))

    async def search(
        self, work: Callable[[Report, float, bool], ResultT], seconds: float, progress: Progress | None = None
    ) -> ResultT:
        """Return what a search returns; one that needs more memory begins again, while its account has no other.

        The work is given its report, the moment when its time is over, and whether this attempt is the last. Waiting
        for a turn counts toward the time.
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
        f"This took longer than {seconds:g} seconds and was ended: ask for less at once, such as a smaller file "
        "or directory; of a directory that was to be deleted, part is gone"
    )
