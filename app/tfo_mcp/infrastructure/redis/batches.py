"""CommandBatches: sends the commands of one turn of the event loop to Redis in one write, on one connection.

Taking a connection, its deadline and its system calls cost several times what a command does, and calls of many clients
arrive in the same turn. Must not know what the commands mean.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Command = tuple[Any, ...]


class CommandBatches:
    """Batches of commands for one Redis.

    Args:
        timeout_seconds: the total deadline of a batch.
    """

    def __init__(self, redis: Redis, timeout_seconds: float) -> None:
        self._redis = redis
        self._execute: Callable[..., Awaitable[Any]] = redis.execute_command
        self._timeout_seconds = timeout_seconds
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def execute(self, *command: Any) -> Any:
        """Return the result of a command, which is sent with the others of this turn of the event loop.

        Raises:
            RedisError, OSError: Redis cannot be reached, or refuses the command.
            TimeoutError: the batch has no answer before its deadline.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, result))
        if len(self._waiting) == 1:  # the task starts in the next turn
            task = loop.create_task(self._send())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return await result

    async def aclose(self) -> None:
        """Wait for the batches that were sent; each ends by its deadline."""
        if self._sending:
            await asyncio.wait(self._sending)

    async def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        results: Sequence[Any]
        try:
            with anyio.fail_after(self._timeout_seconds):
                results = await self._results([command for command, _ in batch])
        except Exception as problem:  # each caller gets it
            results = [problem] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its caller has left
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def _results(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Send commands, and again if their connection was closed: all idle ones may be, after a restart of Redis.

        The scripts allow for this: they may have run although there was no answer.
        """
        try:
            return await self._results_of_attempt(commands)
        except (RedisConnectionError, OSError):
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            return await self._results_of_attempt(commands)

    async def _results_of_attempt(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Return a result or an error of Redis for each command."""
        if len(commands) == 1:
            try:
                return [await self._execute(*commands[0])]
            except ResponseError as problem:
                return [problem]
        pipeline: Any = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        results: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        return results
