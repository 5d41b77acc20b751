"""The contract of WorkQueue."""

from collections.abc import Sequence

import anyio
import pytest

from tests.support.deadlines import PATIENCE
from tfo_mcp.application.ports import Attempt, Job, WorkQueue

pytestmark = pytest.mark.anyio
Queues = tuple[WorkQueue, WorkQueue]


def jobs(count: int) -> list[Job]:
    """Return jobs whose ids count from 0."""
    return [Job(f"job-{number}", "letters", f"payload {number}".encode()) for number in range(count)]


async def taken(queue: WorkQueue, count: int) -> Sequence[Attempt]:
    """Take this number of jobs."""
    found: list[Attempt] = []
    with anyio.fail_after(PATIENCE):
        while len(found) < count:
            found += await queue.take(count - len(found))
    return found


async def test_each_job_is_taken_by_one_process_and_is_gone_when_it_is_finished(work_queues: Queues) -> None:
    one, other = work_queues
    await one.put(jobs(4))
    found = [*await taken(one, 2), *await taken(other, 2)]
    assert [attempt.job for attempt in found] == jobs(4)
    assert {attempt.number for attempt in found} == {1}
    for attempt in found:
        await one.finish(attempt)
    assert not await other.take(1)


async def test_a_job_that_is_put_again_is_kept_once_even_when_it_was_done(work_queues: Queues) -> None:
    one, other = work_queues
    await one.put(jobs(2))
    await other.put(jobs(3))
    for attempt in await taken(one, 3):
        await one.finish(attempt)
    await one.put(jobs(3))
    assert not await one.take(1)


async def test_a_job_whose_process_ended_is_taken_again_after_the_visibility_timeout(work_queues: Queues) -> None:
    one, other = work_queues
    await one.put(jobs(1))
    await taken(one, 1)
    (again,) = await taken(other, 1)
    assert (again.job, again.number) == (jobs(1)[0], 2)


async def test_a_postponed_job_is_taken_again_and_its_attempts_are_counted(work_queues: Queues) -> None:
    one, other = work_queues
    await one.put(jobs(1))
    for number in (1, 2, 3):
        (attempt,) = await taken((one, other)[number % 2], 1)
        assert attempt.number == number
        await one.postpone(attempt, 0.05)


async def test_a_job_that_is_given_up_is_a_dead_letter_until_it_is_retried(work_queues: Queues) -> None:
    one, other = work_queues
    await one.put(jobs(2))
    for attempt in await taken(one, 2):
        await one.give_up(attempt, "no\r\nroute: ü")
    letters = await other.dead()
    assert [(letter.job, letter.reason, letter.tries) for letter in letters] == [
        (job, "no\r\nroute: ü", 1) for job in jobs(2)
    ]
    await other.retry(letters[1])
    await other.retry(letters[1])  # by another operator
    assert await one.dead() == letters[:1]
    (again,) = await taken(one, 1)
    assert (again.job, again.number) == (jobs(2)[1], 1)
    await one.give_up(again, "again")
    assert [letter.reason for letter in await one.dead()] == ["no\r\nroute: ü", "again"]


async def test_nothing_waits_in_a_new_queue(work_queues: Queues) -> None:
    one, _ = work_queues
    await one.put([])
    assert not await one.take(3)
    assert not await one.dead()
