"""TextProgress: sends generated text to the client as progress messages, below the rate limit of the channel."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import anyio

from tfo_mcp.application.context import Channel

ResultT = TypeVar("ResultT")
_INTERVAL_SECONDS = 0.01


class TextProgress:
    """Joins pieces that follow each other within the interval; the progress value is the number of characters."""

    def __init__(self, channel: Channel, clock: Callable[[], float] = monotonic) -> None:
        self._channel = channel
        self._clock = clock
        self._pending: list[str] = []
        self._sent = 0
        self._sent_at = float("-inf")
        self._arrived = anyio.Event()
        self._turn = anyio.Lock(fast_acquire=True)  # pieces keep their order

    async def during(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Return the result of `work`, which adds pieces; each is sent after the interval at the latest."""
        results: list[ResultT] = []
        problems: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_waiting)
            try:
                results.append(await work())
                await self.flush()
            except Exception as problem:  # raised below, as a task group would wrap it
                problems.append(problem)
            tasks.cancel_scope.cancel()
        if problems:
            raise problems[0]
        return results[0]

    async def add(self, text: str) -> None:
        """Send a piece of text, now or within the interval."""
        self._pending.append(text)
        if self._clock() - self._sent_at >= _INTERVAL_SECONDS:
            await self.flush()
        else:
            self._arrived.set()

    async def flush(self) -> None:
        """Send what is pending."""
        async with self._turn:
            text = "".join(self._pending)
            if text:
                self._pending.clear()
                self._sent += len(text)
                self._sent_at = self._clock()
                await self._channel.progress(float(self._sent), None, text)

    async def _send_waiting(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            await anyio.sleep(_INTERVAL_SECONDS)
            try:
                await self.flush()
            except Exception:  # the next piece reports it to the work
                return
