"""The contract of StreamLog."""

from collections.abc import Sequence
from functools import partial

import anyio
import pytest

from tests.contracts.conftest import HISTORY
from tests.support.deadlines import PATIENCE, eventually
from tfo_mcp.application.ports import StreamId, StreamLog
from tfo_mcp.domain.ids import SessionId

pytestmark = pytest.mark.anyio

STREAM = StreamId(SessionId("session"), "stream")
Frames = list[tuple[int, bytes]]


async def followed(log: StreamLog, after: int = 0, stream: StreamId = STREAM) -> Frames:
    """Return all frames that a follower gets until the end of the stream."""
    with anyio.fail_after(PATIENCE):
        return [found async for found in log.follow(stream, after)]


async def begun(log: StreamLog, frames: Sequence[bytes] = (), stream: StreamId = STREAM) -> None:
    """Create the stream and append these frames."""
    await log.create(stream, "key:owner")
    await appended(log, frames, stream)


async def appended(log: StreamLog, frames: Sequence[bytes], stream: StreamId = STREAM) -> None:
    """Append the frames."""
    for frame in frames:
        await log.append(stream, frame)


async def test_frames_are_numbered_from_one_in_each_stream(stream_log: StreamLog) -> None:
    other_stream, other_session = StreamId(STREAM.session_id, "other"), StreamId(SessionId("other"), STREAM.name)
    for stream in (STREAM, other_stream, other_session):
        await stream_log.create(stream, "key:owner")
        assert [await stream_log.append(stream, frame) for frame in (b"a", b"b")] == [1, 2]


async def test_a_finished_stream_is_read_to_its_end(stream_log: StreamLog) -> None:
    await begun(stream_log, [b"a", b"", b"\x00\xff\n"])
    await stream_log.finish(STREAM)
    assert await followed(stream_log) == [(1, b"a"), (2, b""), (3, b"\x00\xff\n")]


@pytest.mark.parametrize(("after", "numbers"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (9, [])])
async def test_a_follower_sees_what_comes_after_its_number(
    stream_log: StreamLog, after: int, numbers: list[int]
) -> None:
    await begun(stream_log, [b"a", b"b", b"c"])
    await stream_log.finish(STREAM)
    assert [number for number, _ in await followed(stream_log, after)] == numbers


async def test_a_follower_sees_what_is_kept_and_then_what_comes(stream_log: StreamLog) -> None:
    await begun(stream_log, [b"a", b"b"])
    found: Frames = []
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            found.extend(await followed(stream_log, after=1))

        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        await appended(stream_log, [b"c", b"d"])
        await stream_log.finish(STREAM)
    assert found == [(2, b"b"), (3, b"c"), (4, b"d")]


async def test_several_followers_see_the_same(stream_log: StreamLog) -> None:
    found: list[Frames] = []
    await begun(stream_log)
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            found.append(await followed(stream_log))

        for _ in range(3):
            tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        await appended(stream_log, [b"a", b"b"])
        await stream_log.finish(STREAM)
    assert found == [[(1, b"a"), (2, b"b")]] * 3


async def test_only_the_latest_frames_are_kept_under_their_numbers(stream_log: StreamLog) -> None:
    await begun(stream_log, [b"%d" % number for number in range(1, 3 * HISTORY + 1)])
    await stream_log.finish(STREAM)
    numbers = [number for number, _ in await followed(stream_log)]
    assert len(numbers) >= HISTORY
    assert numbers == list(range(numbers[0], 3 * HISTORY + 1))
    assert numbers[0] > 1


async def test_a_stream_exists_from_its_beginning_until_it_is_forgotten(stream_log: StreamLog) -> None:
    assert not await stream_log.exists(STREAM)
    await begun(stream_log)
    assert await stream_log.exists(STREAM)
    await stream_log.append(STREAM, b"a")
    await stream_log.finish(STREAM)
    assert await stream_log.exists(STREAM)
    await stream_log.forget(STREAM.session_id)
    assert not await stream_log.exists(STREAM)


async def test_forgetting_a_session_ends_its_followers_and_leaves_others_alone(stream_log: StreamLog) -> None:
    other = StreamId(SessionId("other"), "stream")
    await begun(stream_log, [b"a"])
    await begun(stream_log, [b"b"], other)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(followed, stream_log)
        await anyio.wait_all_tasks_blocked()
        await stream_log.forget(STREAM.session_id)
    assert await stream_log.exists(other)


async def test_forgetting_what_never_was_is_no_error(stream_log: StreamLog) -> None:
    await stream_log.forget(SessionId("never"))


async def test_nothing_brings_back_a_stream_that_is_not_kept(stream_log: StreamLog) -> None:
    await begun(stream_log, [b"a"])
    await stream_log.forget(STREAM.session_id)
    assert await stream_log.append(STREAM, b"b") == 0
    await stream_log.finish(STREAM)
    assert await followed(stream_log) == []
    assert not await stream_log.exists(STREAM)


async def test_of_large_frames_the_latest_of_a_session_are_kept_and_always_the_very_last(stream_log: StreamLog) -> None:
    older, newer = (StreamId(STREAM.session_id, name) for name in ("older", "newer"))
    elsewhere = StreamId(SessionId("other"), "stream")
    large, huge = b"x" * 1024 * 1024, b"y" * 16 * 1024 * 1024
    await begun(stream_log, [large], elsewhere)
    await begun(stream_log, [large] * 3, older)
    await begun(stream_log, [large] * 3, newer)
    for stream in (older, newer, elsewhere):
        await stream_log.finish(stream)
    assert [number for number, _ in await followed(stream_log, 0, newer)] == [1, 2, 3]
    assert len(await followed(stream_log, 0, older)) < 3
    await begun(stream_log, [large, huge])
    await stream_log.finish(STREAM)
    assert await followed(stream_log) == [(2, huge)]
    assert await followed(stream_log, 0, elsewhere) == [(1, large)]


async def test_what_one_process_writes_another_follows_to_the_end(stream_logs: tuple[StreamLog, StreamLog]) -> None:
    here, there = stream_logs
    await begun(here, [b"a"])
    found: Frames = []
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            found.extend(await followed(there))

        tasks.start_soon(follow)
        for frame in (b"b", b"c"):
            await anyio.wait_all_tasks_blocked()
            await here.append(STREAM, frame)
        await here.finish(STREAM)
    assert found == [(1, b"a"), (2, b"b"), (3, b"c")]


async def test_many_frames_are_followed_whole(stream_logs: tuple[StreamLog, StreamLog]) -> None:
    here, there = stream_logs
    await here.create(STREAM, "key:owner")
    count = 0

    def keeps_up(number: int) -> bool:
        return count >= number - HISTORY + 1

    async def follow() -> None:
        nonlocal count
        with anyio.fail_after(PATIENCE):
            async for number, frame in there.follow(STREAM, 0):
                assert frame == b"%d" % number
                count = number

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        for number in range(1, 301):
            await here.append(STREAM, b"%d" % number)
            await eventually(partial(keeps_up, number), "the follower keeps up")
        await here.finish(STREAM)
    assert count == 300


async def test_finished_streams_above_the_limit_of_a_session_are_dropped_oldest_first(stream_log: StreamLog) -> None:
    streams = [StreamId(STREAM.session_id, f"stream {number}") for number in range(66)]
    for stream in streams:
        await begun(stream_log, [b"a"], stream)
        if stream is not streams[0]:
            await stream_log.finish(stream)
    assert [await stream_log.exists(stream) for stream in streams[:4]] == [True, False, False, True]
    assert await stream_log.exists(streams[-1])


async def test_a_session_has_one_reader_until_it_leaves_or_its_client_resumes(
    stream_logs: tuple[StreamLog, StreamLog],
) -> None:
    here, there = stream_logs
    other = StreamId(STREAM.session_id, "other")
    assert await here.claim(STREAM, "one", resumes=False)
    assert not await there.claim(other, "two", resumes=False)
    assert [await log.is_read(STREAM) for log in (here, there)] == [True, True]
    assert not await here.is_read(other)
    assert await there.claim(STREAM, "three", resumes=True)
    await here.release(STREAM, "one")
    assert not await here.claim(other, "four", resumes=False)
    await there.release(STREAM, "three")
    assert not await here.is_read(STREAM)
    assert await here.claim(other, "four", resumes=False)
    assert await here.claim(StreamId(SessionId("other"), "stream"), "five", resumes=False)
    await there.forget(STREAM.session_id)
    assert await there.claim(STREAM, "six", resumes=False)


async def test_a_reader_ends_when_the_client_resumes_the_stream_elsewhere(
    stream_logs: tuple[StreamLog, StreamLog],
) -> None:
    here, there = stream_logs
    await begun(here, [b"a"])
    assert await here.claim(STREAM, "one", resumes=False)
    found: Frames = []
    with anyio.fail_after(PATIENCE):
        async for frame in here.follow(STREAM, 0, "one"):
            found.append(frame)
            assert await there.claim(STREAM, "two", resumes=True)
            await here.append(STREAM, b"b")
    assert found == [(1, b"a")]
    await here.finish(STREAM)
    assert [frame async for frame in there.follow(STREAM, 0, "two")] == [(1, b"a"), (2, b"b")]


async def test_a_finished_stream_can_be_continued_and_another_not(stream_logs: tuple[StreamLog, StreamLog]) -> None:
    here, there = stream_logs
    await begun(here, [b"a"])
    assert not await there.take_over(STREAM)
    await here.finish(STREAM)
    assert await there.take_over(STREAM)
    assert not await here.take_over(STREAM)
    assert await there.append(STREAM, b"b") == 2
    await there.finish(STREAM)
    assert await followed(here) == [(1, b"a"), (2, b"b")]
    assert not await there.take_over(StreamId(SessionId("never"), "stream"))
