"""The port of the work queue: jobs done behind the calls, and the dead letters of jobs that cannot be done."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Job(NamedTuple):
    """Work to do.

    `id` is unique: the queue drops a job whose id it remembers. `kind` names its handler: letters, digits, - and _.
    """

    id: str
    kind: str
    payload: bytes


class Attempt(NamedTuple):
    """A job that was taken, for the `number`th time, from 1 on; `receipt` is the queue's own."""

    job: Job
    number: int
    receipt: object


class DeadLetter(NamedTuple):
    """A job that was given up: `reason` of the last failure, `tries`, and `time` in seconds since 1970.

    `id` is the dead letter's own: a job can be retried and given up again.
    """

    id: str
    job: Job
    reason: str
    tries: int
    time: float


class WorkQueueUnavailable(Exception):
    """The work queue cannot be used. The message is for operators."""


class WorkQueue(Protocol):
    """Keeps jobs until they are done or given up. Processes may share one; each job is taken by one of them at a time.

    A job that was taken and neither finished, postponed nor given up is taken again after the visibility timeout, so
    that handlers have to be idempotent. Every method raises WorkQueueUnavailable while the queue cannot be used.
    """

    async def put(self, jobs: Sequence[Job]) -> None:
        """Add jobs; return when the queue keeps them all. After a failure the same jobs may be put again."""

    async def take(self, limit: int) -> Sequence[Attempt]:
        """Return up to `limit` jobs; wait about a second for the first one, then return none."""

    async def finish(self, attempt: Attempt) -> None:
        """Remove a job that is done."""

    async def postpone(self, attempt: Attempt, seconds: float) -> None:
        """Let a job be taken again after some seconds."""

    async def give_up(self, attempt: Attempt, reason: str) -> None:
        """Move a job to the dead letters."""

    async def dead(self) -> Sequence[DeadLetter]:
        """Return the dead letters, oldest first."""

    async def retry(self, letter: DeadLetter) -> None:
        """Add the job of a dead letter again, and remove the letter."""

    async def aclose(self) -> None:
        """Close connections."""
