"""How file work in a worker thread tells how far it is, and learns that nobody waits for it any more."""

from time import monotonic

from anyio import from_thread

from app.application.ports import Progress


class Report:
    """One piece of work's report; used in the thread that does the work.

    Args:
        seconds: how much time is between two reports.
    """

    def __init__(self, progress: Progress | None, seconds: float = 0.1) -> None:
        self._progress = progress
        self._seconds = seconds
        self._next = monotonic() + seconds

    def tick(self, done: int, total: int | None = None) -> None:
        """Say that so many bytes or entries are done; told on only now and then. Ends the work if it is cancelled."""
        now = monotonic()
        if now < self._next:
            return
        self._next = now + self._seconds
        from_thread.check_cancelled()
        if self._progress is not None:
            from_thread.run(self._tell, done, total)

    async def _tell(self, done: int, total: int | None) -> None:
        assert self._progress is not None
        await self._progress(done, total)


class Silence(Report):
    """The report of work that takes no time, and may be done by any thread."""

    def __init__(self) -> None:
        super().__init__(None)

    def tick(self, done: int, total: int | None = None) -> None:
        """Say nothing."""
