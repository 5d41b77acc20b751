"""WorkRunner: what it does with jobs that fail, never end, or end their process."""

import anyio
import pytest

from tests.support.deadlines import eventually
from tfo_mcp.application.ports import Attempt, Job
from tfo_mcp.application.work import JobFailed, WorkRunner
from tfo_mcp.infrastructure.state.work_queue import MemoryWorkQueue

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def handle(job: Job) -> None:
    """Do as the payload says."""
    match job.payload:
        case b"fail":
            raise JobFailed("no route")
        case b"crash":
            raise ZeroDivisionError
        case b"hang":
            await anyio.sleep_forever()


async def reasons(queue: MemoryWorkQueue, count: int) -> dict[str, tuple[str, int]]:
    """Run the jobs of a queue until this number is given up; return the reasons and tries of each."""
    runner = WorkRunner(queue, {"work": handle}, 2, 0.001, 0.2, lambda _: None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        await eventually(lambda: runner.given_up == count, "the jobs are given up")
        tasks.cancel_scope.cancel()
    return {letter.job.id: (letter.reason, letter.tries) for letter in await queue.dead()}


async def test_jobs_that_cannot_be_done_are_given_up_with_the_reason_and_others_are_done() -> None:
    queue = MemoryWorkQueue(60.0)
    names = ("fail", "crash", "hang", "good")
    await queue.put([*(Job(name, "work", name.encode()) for name in names), Job("unknown", "other", b"")])
    assert await reasons(queue, 4) == {
        "fail": ("no route", 2),
        "crash": ("unexpected ZeroDivisionError", 2),
        "hang": ("it took longer than 0.2 seconds", 2),
        "unknown": ("this server does no work of the kind 'other'", 2),
    }
    assert not await queue.take(1)


async def test_a_job_that_ends_its_process_each_time_is_given_up() -> None:
    queue = MemoryWorkQueue(0.01)
    await queue.put([Job("poison", "work", b"good")])
    taken: list[Attempt] = []
    while len(taken) < 2:  # two processes end while they do it
        taken += await queue.take(1)
    assert await reasons(queue, 1) == {"poison": ("no attempt came to an end", 3)}
