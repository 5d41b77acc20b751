"""Signals: the first SIGTERM or SIGINT lets the server come to its end, a second ends it at once, SIGHUP reloads."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from tfo_mcp.bootstrap import Server
from tfo_mcp_transports.cli.deadline import ExitDeadline
from tfo_mcp_transports.cli.running import RunFile

_ENDING = (signal.SIGTERM, signal.SIGINT)


class Terminated(SystemExit):
    """A signal has ended the process before there was anything to stop."""


def end_at_once() -> None:
    """Let SIGTERM end the process as long as there is nothing to stop."""

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(0)

    signal.signal(signal.SIGTERM, leave)


def on_end(stop: Callable[[], None], deadline: ExitDeadline) -> None:
    """Call `stop` at the first signal to end, and let the deadline begin; the next one does not wait for either.

    The handlers are Python's own, which run even while something blocks the loop.
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


def on_hangup(server: Server, file: RunFile) -> None:
    """Let SIGHUP reload the settings, where the platform has it; the file tells how it went."""
    loop, reloads = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def work() -> None:
        file.reloaded(await server.reload())

    def reload() -> None:
        task = loop.create_task(work())
        reloads.add(task)  # the loop alone would not keep it
        task.add_done_callback(reloads.discard)

    with suppress(AttributeError, NotImplementedError):
        loop.add_signal_handler(signal.SIGHUP, reload)


def leave_at_once(number: int) -> NoReturn:
    """End the process as the signal would, whatever it is doing."""
    os._exit(128 + number)
