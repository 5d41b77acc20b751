"""Commands of one turn of the event loop go to Redis together, and each caller gets its own result."""

import re
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from redis.exceptions import ResponseError

from tests.support.deadlines import PATIENCE
from tests.support.redis_server import RedisServer, redis_server
from tfo_mcp.infrastructure.redis.batches import CommandBatches
from tfo_mcp.infrastructure.redis.client import connect

pytestmark = pytest.mark.anyio
CALLERS = 50


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def batches(redis: RedisServer, anyio_backend: str) -> AsyncIterator[CommandBatches]:
    client = connect(redis.url, PATIENCE)
    batches = CommandBatches(client, PATIENCE)
    yield batches
    await batches.aclose()
    await client.aclose()


def connections(redis: RedisServer) -> int:
    """Return the number of connections that a Redis has accepted, the one of the question included."""
    found = re.search(rb"total_connections_received:(\d+)", redis.command("INFO", "stats"))
    assert found is not None
    return int(found[1])


async def test_callers_of_one_turn_share_a_connection_and_get_their_own_results(
    redis: RedisServer, batches: CommandBatches
) -> None:
    results: dict[int, bytes] = {}

    async def ask(number: int) -> None:
        results[number] = await batches.execute("ECHO", str(number))

    before = connections(redis)
    async with anyio.create_task_group() as tasks:
        for number in range(CALLERS):
            tasks.start_soon(ask, number)
    assert results == {number: str(number).encode() for number in range(CALLERS)}
    assert connections(redis) - before == 2


async def test_an_error_reaches_the_caller_of_its_command_alone(batches: CommandBatches) -> None:
    outcomes: list[object] = []

    async def ask(*command: str) -> None:
        try:
            outcomes.append(await batches.execute(*command))
        except ResponseError:
            outcomes.append("refused")

    async with anyio.create_task_group() as tasks:
        for command in (("ECHO", "a"), ("NO-SUCH-COMMAND",), ("ECHO", "b")):
            tasks.start_soon(ask, *command)
    assert outcomes == [b"a", "refused", b"b"]
    with pytest.raises(ResponseError):
        await batches.execute("NO-SUCH-COMMAND")


async def test_a_caller_that_leaves_takes_nothing_from_the_others(batches: CommandBatches) -> None:
    answered: list[bytes] = []

    async def ask(word: str) -> None:
        answered.append(await batches.execute("ECHO", word))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as leaving:
            tasks.start_soon(ask, "stays")
            leaving.cancel()
            await ask("leaves")
    assert answered == [b"stays"]


async def test_all_callers_hear_that_redis_does_not_answer_before_the_deadline(redis: RedisServer) -> None:
    client = connect(redis.url, PATIENCE)
    batches = CommandBatches(client, 0.2)
    failures: list[type[Exception]] = []

    async def ask() -> None:
        try:
            await batches.execute("BLPOP", "never-filled", "60")
        except Exception as problem:
            failures.append(type(problem))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
    assert failures == [TimeoutError] * 3
    await batches.aclose()
    await client.aclose()
