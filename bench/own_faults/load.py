"""Constant load on the shop front: a fixed mix of requests at a fixed rate, from a thread with an event loop.

Requests start on time, whether or not earlier ones were answered, unless too many are waiting. Answers are counted by
status.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import aiohttp

CATEGORIES, PRODUCTS, ACCOUNTS = 200, 200, 50
"""Of the categories and products that customers ask for; there are more products."""
_KINDS = ("category", "product", "order")
_WEIGHTS = (8, 8, 6)
_MOST_PENDING = 30
_PATIENCE = aiohttp.ClientTimeout(15.0)


class Load:
    """The requests so far by status; 0 is no answer."""

    def __init__(self, url: str, rate: float) -> None:
        self.answers: Counter[int] = Counter()
        self._url = url
        self._rate = rate
        self._random = random.Random(1)
        self._end = Event()

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Send requests until the end of the block."""
        thread = Thread(target=lambda: asyncio.run(self._run()), name="load")
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(timeout=_PATIENCE) as session:
            begin, sent, pending = loop.time(), 0, set[asyncio.Task[None]]()
            while not self._end.is_set():
                sent += 1
                if len(pending) < _MOST_PENDING:
                    task = loop.create_task(self._request(session))
                    pending.add(task)
                    task.add_done_callback(pending.discard)
                await asyncio.sleep(max(0.0, begin + sent / self._rate - loop.time()))
            await asyncio.gather(*pending)

    async def _request(self, session: aiohttp.ClientSession) -> None:
        (kind,) = self._random.choices(_KINDS, _WEIGHTS)
        product = self._random.randrange(1, PRODUCTS + 1)
        try:
            listed = f"/categories/c{self._random.randrange(CATEGORIES)}"
            path = listed if kind == "category" else f"/{kind}s/{product}"
            method = "POST" if kind == "order" else "GET"
            async with session.request(method, self._url + path) as answer:
                await answer.read()
                self.answers[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError):
            self.answers[0] += 1
