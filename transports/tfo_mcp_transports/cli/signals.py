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


def leave_at_once(number: int) -> NoReturn:
    """Exit the process at once, with the exit code of the signal."""
    os._exit(128 + number)


def on_end(stop: Callable[[], None], deadline: ExitDeadline, again: Callable[[int], object] = leave_at_once) -> None:
    """Call `stop` and start the deadline at the first SIGTERM or SIGINT; call `again` with each further one.

    The handlers are Python's own: unlike those of the event loop, they run while the loop is blocked.
    """
    loop = asyncio.get_running_loop()

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in _ENDING:
            signal.signal(number, lambda number, _: again(number))
        deadline.start()
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop)

    for number in _ENDING:
        signal.signal(number, end)


class Reloads:
    """Reloads the settings at SIGHUP and when a replica asks for it; the outcome is recorded.

    At SIGHUP the replicas are asked to reload theirs, unless a replica was the reason for the signal.

    Args:
        server: the server of this process.
        record: notes the outcomes.
        relay: has all processes of the server reload, by a signal to this one among others; None if it is the only one.
        speaks: whether this process asks the replicas and is asked by them, for all processes of its server.
    """

    def __init__(
        self, server: Server, record: ReloadRecord, relay: Callable[[], None] | None = None, *, speaks: bool = True
    ) -> None:
        self._server = server
        self._record = record
        self._relay = relay
        self._speaks = speaks
        self._was_asked = False
        self._tasks = set[asyncio.Task[None]]()

    def start(self) -> None:
        """Handle the signal, where the platform has it, and the requests of replicas; needs a running event loop."""
        with suppress(AttributeError, NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        if self._speaks:
            self._server.on_reload_request(self._obey)

    def _obey(self) -> None:
        self._was_asked = True
        if self._relay is None:
            self._reload()
        else:
            self._relay()

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._work())
        self._tasks.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        was_asked, self._was_asked = self._was_asked, False
        problems = await self._server.reload()
        self._record.reloaded(problems)
        if self._speaks and not was_asked and not problems:
            self._server.request_reload()
