"""Watches the stored errors for subscribers of `telemetry://errors`: reports each fingerprint that was not there.

Looks every few seconds while somebody watches, at the errors of the last minutes only. A store that cannot be reached
is asked again. Knows no protocol and no kind of store; what a subscriber may read is decided when it reads.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import time_ns

import structlog

from tfo_mcp.analysis.fingerprints import grouped_errors
from tfo_mcp.application.ports import TelemetryStore
from tfo_mcp.application.ports.telemetry_query import Selection, Window
from tfo_mcp.domain.errors import DomainError

ERRORS_URI = "telemetry://errors"
_RECENT_NS = 15 * 60 * 1_000_000_000
_KNOWN_NS = 24 * 3600 * 1_000_000_000  # errors of a day before the first look are not new
_MOST_SHAPES = 500
_MOST_KNOWN = 10_000
_log = structlog.get_logger("tfo_mcp.telemetry")


class ErrorWatch:
    """Reports new fingerprints of errors to callbacks, from one task that runs while there are any.

    Args:
        store: holds the errors.
        look_seconds: the time between two looks.
    """

    def __init__(self, store: TelemetryStore, look_seconds: float) -> None:
        self._store = store
        self._look_seconds = look_seconds
        self._callbacks: dict[int, Callable[[str], None]] = {}
        self._known: set[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._number = 0

    async def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change` with each new fingerprint; return a function that stops watching."""
        self._number += 1
        number = self._number
        if self._task is None:
            with suppress(DomainError):
                now = time_ns()
                self._known = await self._fingerprints(Window(now - _KNOWN_NS, now))
            self._task = asyncio.create_task(self._run())
        self._callbacks[number] = on_change

        def stop() -> None:
            self._callbacks.pop(number, None)
            if not self._callbacks:
                self._end()

        return stop

    async def aclose(self) -> None:
        """Stop looking."""
        task = self._task
        self._end()
        if task is not None:
            with suppress(asyncio.CancelledError):
                await task

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task, self._known = None, None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self._look()
            except DomainError:
                continue  # the store is down, which its users are told
            except Exception as problem:  # a defect must not end the subscription silently
                _log.exception("errors cannot be watched", kind=type(problem).__name__)

    async def _look(self) -> None:
        now = time_ns()
        found = await self._fingerprints(Window(now - _RECENT_NS, now + _RECENT_NS))
        if self._known is None or len(self._known) > _MOST_KNOWN:
            self._known = found
            return
        new = found - self._known
        self._known |= new
        for fingerprint in sorted(new):
            for callback in tuple(self._callbacks.values()):
                callback(fingerprint)

    async def _fingerprints(self, window: Window) -> set[str]:
        shapes = await self._store.error_shapes(Selection(window), limit=_MOST_SHAPES)
        groups = await asyncio.to_thread(grouped_errors, shapes)
        return {group.fingerprint for group in groups}
