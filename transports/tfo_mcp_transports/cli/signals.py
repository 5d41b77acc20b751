"""Signals: the first SIGTERM or SIGINT starts a graceful shutdown, the second exits at once, SIGHUP reloads."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn, Protocol

from tfo_mcp.bootstrap import Server
from tfo_mcp_transports.cli.deadline import ExitDeadline

_ENDING = (signal.SIGTERM, signal.SIGINT)


class ReloadRecord(Protocol):
    """Where the outcome of a reload is recorded."""

    def reloaded(self, problems: Sequence[str]) -> None:
        """Record a reload and its problems."""


class Terminated(SystemExit):
    """A signal has ended the process before the server ran."""


def end_at_once() -> None:
    """Install a SIGTERM handler that exits the process, for the time before the server runs."""

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(0)

    signal.signal(signal.SIGTERM, leave)


def on_end(stop: Callable[[], None], deadline: ExitDeadline) -> None:
    """Call `stop` and start the deadline at the first SIGTERM or SIGINT; exit at once at the second.

    The handlers are Python's own: unlike those of the event loop, they run while the loop is blocked.
    """
    loop = asyncio.get_running_loop()

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in _ENDING:
            signal.signal(number, lambda number, _: leave_at_once(number))
        deadline.start()
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop)

    for number in _ENDING:
        signal.signal(number, end)


def on_hangup(server: Server, record: ReloadRecord) -> None:
    """Reload the settings at SIGHUP, where the platform has it, and record the outcome."""
    loop, reloads = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def work() -> None:
        record.reloaded(await server.reload())

    def reload() -> None:
        task = loop.create_task(work())
        reloads.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(reloads.discard)

    with suppress(AttributeError, NotImplementedError):
        loop.add_signal_handler(signal.SIGHUP, reload)


def leave_at_once(number: int) -> NoReturn:
    """Exit the process at once, with the exit code of the signal."""
    os._exit(128 + number)
