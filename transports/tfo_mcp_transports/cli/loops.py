"""Event loops of the process: one that a plugin cannot end, and that ends in bounded time.

What a task or a callback raises to end the process (SystemExit, KeyboardInterrupt) stops an event loop. Plugins may
start tasks, so the loop is resumed unless the main task itself has ended.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import structlog

from tfo_mcp_transports.cli.signals import Terminated

ResultT = TypeVar("ResultT")
_END_SECONDS = 1.0  # for tasks that are left when the main task has ended
_log = structlog.get_logger("tfo_mcp.loop")


class Loop:
    """An event loop that runs main tasks to their end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, main: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Return what `main` returns.

        Raises:
            SystemExit: a signal has ended the process.
        """
        task = self._loop.create_task(main)
        while True:
            try:
                return self._loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as end:
                if task.done() or isinstance(end, Terminated):
                    raise
                _log.error("a task tried to end the process", exception_type=type(end).__name__)

    def close(self) -> None:
        """Cancel what is left, and wait a moment for it."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        with suppress(SystemExit, KeyboardInterrupt):
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=_END_SECONDS))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


@contextmanager
def event_loop() -> Iterator[Loop]:
    """Yield a new event loop, of uvloop where the platform has it."""
    loop = Loop(_new_loop())
    try:
        yield loop
    finally:
        loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
