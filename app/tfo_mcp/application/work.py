"""WorkRunner: does the jobs of a work queue, several at once. Knows no broker and no kind of work.

A job that fails is tried again, later each time, and is given up after some tries. A job that kills its process is
given up, too: the queue counts the attempts.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import uniform

import anyio

from tfo_mcp.application.breaker import Breaker
from tfo_mcp.application.ports import Attempt, Job, WorkQueue, WorkQueueUnavailable

Handler = Callable[[Job], Awaitable[None]]
_AT_ONCE = 16
_RETRY_SECONDS = 0.5
_MOST_PAUSE_SECONDS = 600.0
_CLOSING_SECONDS = 2.0


class JobFailed(Exception):
    """A job could not be done. The message is for operators, and is kept with the dead letter."""


class WorkRunner:
    """Takes jobs and runs their handlers while it runs.

    Args:
        handlers: does the jobs of a kind. A handler raises JobFailed, and can be called again for a job that is done.
        tries: number of attempts after which a job is given up.
        pause_seconds: pause before the second attempt; it doubles with each, up to ten minutes.
        job_seconds: deadline of an attempt, shorter than the queue's visibility timeout.
        on_outage: called with the reason when the queue becomes unavailable, and with None when it is back.
    """

    def __init__(
        self,
        queue: WorkQueue,
        handlers: Mapping[str, Handler],
        tries: int,
        pause_seconds: float,
        job_seconds: float,
        on_outage: Callable[[str | None], None],
    ) -> None:
        self._queue = queue
        self._handlers = handlers
        self._tries = tries
        self._pause_seconds = pause_seconds
        self._job_seconds = job_seconds
        self._on_outage = on_outage
        self._outage = Breaker(1)
        self._running = 0
        self._ended = anyio.Event()
        self.given_up = 0
        """Jobs that this process has moved to the dead letters."""

    async def run(self) -> None:
        """Do jobs until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                while self._running >= _AT_ONCE:
                    self._ended = anyio.Event()
                    await self._ended.wait()
                for attempt in await self._take(_AT_ONCE - self._running):
                    self._running += 1
                    tasks.start_soon(self._attempt, attempt)

    async def aclose(self) -> None:
        """Close the queue's connections. Jobs that were interrupted are taken again after the visibility timeout."""
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
            await self._queue.aclose()

    async def _take(self, limit: int) -> list[Attempt]:
        try:
            taken = list(await self._queue.take(limit))
        except WorkQueueUnavailable as problem:
            if self._outage.failed():
                self._on_outage(str(problem))
            await anyio.sleep(_RETRY_SECONDS)
            return []
        if self._outage.succeeded():
            self._on_outage(None)
        return taken

    async def _attempt(self, attempt: Attempt) -> None:
        try:
            with suppress(WorkQueueUnavailable):  # the job is taken again after the visibility timeout
                await self._settle(attempt)
        finally:
            self._running -= 1
            self._ended.set()

    async def _settle(self, attempt: Attempt) -> None:
        if attempt.number > self._tries:
            await self._give_up(attempt, "no attempt came to an end")
            return
        reason = await self._failure(attempt.job)
        if reason is None:
            await self._queue.finish(attempt)
            return
        if attempt.number == self._tries:
            await self._give_up(attempt, reason)
        else:
            pause = min(_MOST_PAUSE_SECONDS, self._pause_seconds * 2 ** min(attempt.number - 1, 30))
            await self._queue.postpone(attempt, pause * uniform(0.8, 1.2))  # noqa: S311 # spreads attempts

    async def _give_up(self, attempt: Attempt, reason: str) -> None:
        await self._queue.give_up(attempt, reason)
        self.given_up += 1

    async def _failure(self, job: Job) -> str | None:
        """Run a job's handler; return why it failed, None if it did not."""
        handler = self._handlers.get(job.kind)
        if handler is None:
            return f"this server does no work of the kind {job.kind!r}"
        try:
            with anyio.fail_after(self._job_seconds):
                await handler(job)
        except JobFailed as failure:
            return str(failure)
        except TimeoutError:
            return f"it took longer than {self._job_seconds:g} seconds"
        except Exception as problem:  # a poison job must not end the others
            return f"unexpected {type(problem).__name__}"
        return None
