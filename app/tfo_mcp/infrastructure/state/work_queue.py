"""MemoryWorkQueue: jobs in the memory of this process, the embedded default. They end with it."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import count
from time import monotonic, time

import anyio

from tfo_mcp.application.ports import Attempt, DeadLetter, Job, WorkQueueUnavailable

_MOST_DEAD = 1000
_MOST_REMEMBERED = 100_000
_WAIT_SECONDS = 1.0


class MemoryWorkQueue:
    """Jobs of this process, oldest first.

    Args:
        visibility_seconds: time after which a job that was taken is taken again.
        most_jobs: number of jobs to keep; no more are added beyond.
    """

    def __init__(self, visibility_seconds: float, most_jobs: int = 10_000) -> None:
        self._visibility_seconds = visibility_seconds
        self._most_jobs = most_jobs
        self._jobs: OrderedDict[int, tuple[Job, int]] = OrderedDict()  # by number: the job and its attempts
        self._due: dict[int, float] = {}  # of jobs that must not be taken before
        self._numbers = count(1)
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._dead: deque[DeadLetter] = deque(maxlen=_MOST_DEAD)
        self._arrived = anyio.Event()

    async def put(self, jobs: Sequence[Job]) -> None:
        """Add jobs whose ids are new."""
        new = [job for job in jobs if job.id not in self._remembered]
        if len(self._jobs) + len(new) > self._most_jobs:
            raise WorkQueueUnavailable(f"{self._most_jobs:,} jobs wait in memory")
        for job in new:
            self._remembered[job.id] = None
            self._jobs[next(self._numbers)] = (job, 0)
        while len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        self._arrived.set()

    async def take(self, limit: int) -> Sequence[Attempt]:
        """Return up to `limit` jobs."""
        deadline = monotonic() + _WAIT_SECONDS
        while not (taken := self._take(limit)) and monotonic() < deadline:
            self._arrived = anyio.Event()
            with anyio.move_on_after(min([deadline, *self._due.values()]) - monotonic()):
                await self._arrived.wait()
        return taken

    def _take(self, limit: int) -> list[Attempt]:
        now = monotonic()
        numbers = [number for number in self._jobs if self._due.get(number, 0.0) <= now][:limit]
        taken: list[Attempt] = []
        for number in numbers:
            job, attempts = self._jobs[number]
            self._jobs[number] = (job, attempts + 1)
            self._due[number] = now + self._visibility_seconds
            taken.append(Attempt(job, attempts + 1, number))
        return taken

    async def finish(self, attempt: Attempt) -> None:
        """Remove a job."""
        self._remove(attempt)

    async def postpone(self, attempt: Attempt, seconds: float) -> None:
        """Let a job be taken again later."""
        if attempt.receipt in self._jobs:
            self._due[self._number(attempt)] = monotonic() + seconds
            self._arrived.set()

    async def give_up(self, attempt: Attempt, reason: str) -> None:
        """Move a job to the dead letters, of which the latest 1,000 are kept."""
        if self._remove(attempt):
            self._dead.append(DeadLetter(str(attempt.receipt), attempt.job, reason, attempt.number, time()))

    async def dead(self) -> Sequence[DeadLetter]:
        """Return the dead letters."""
        return tuple(self._dead)

    async def retry(self, letter: DeadLetter) -> None:
        """Add the job of a dead letter again."""
        if letter in self._dead:
            self._dead.remove(letter)
            self._jobs[next(self._numbers)] = (letter.job, 0)
            self._arrived.set()

    async def aclose(self) -> None:
        """Do nothing: there is no connection to close."""

    def _remove(self, attempt: Attempt) -> bool:
        number = self._number(attempt)
        self._due.pop(number, None)
        return self._jobs.pop(number, None) is not None

    @staticmethod
    def _number(attempt: Attempt) -> int:
        assert isinstance(attempt.receipt, int)
        return attempt.receipt
