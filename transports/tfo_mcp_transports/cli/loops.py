"""The event loop of the process: a plugin cannot end it, and it closes in bounded time.

SystemExit or KeyboardInterrupt in any task or callback stops an event loop. Plugins can start tasks, so the loop is
resumed unless the main task itself has ended.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import structlog

from tfo_mcp_transports.cli.signals import Terminated

ResultT = TypeVar("ResultT")
_END_SECONDS = 1.0  # for tasks that still run when the main task has ended
_log = structlog.get_logger("tfo_mcp.loop")


class Loop:
    """An event loop that runs a main task to its end."""

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
        """Cancel the remaining tasks, wait for them for a bounded time, and close the loop."""
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
    """Yield a new event loop: uvloop where it is installed, asyncio's otherwise."""
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
