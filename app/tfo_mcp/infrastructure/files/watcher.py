"""WatchedFiles: the FileWatcher. Reports changes of watched files, whichever process made them.

The operating system notifies about changes in directories (watchfiles). Each notification triggers a comparison of all
signatures, so that each change is reported once. A periodic comparison, twice a second, covers new or removed
directories and file systems without notifications.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import anyio
import structlog
from anyio import CapacityLimiter, to_thread

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.file_uris import is_file_uri
from tfo_mcp.infrastructure.files.error_messages import shown

_COMPARE_MILLISECONDS = 500
_STEP_MILLISECONDS = 25
_DEBOUNCE_MILLISECONDS = 50
_MOST_WATCHED = 4096
_THREADS = 2
ResultT = TypeVar("ResultT")

_log = structlog.get_logger("tfo_mcp.files")


class Files(Protocol):
    """The file operations that the watcher needs."""

    def signature(self, uri: str) -> str | None:
        """Return text that changes whenever the contents of a URI change; None if it cannot be read."""

    def open_parent(self, uri: str) -> int:
        """Return a descriptor of the directory that contains the file of a URI; the caller closes it."""

    def require_served(self, uri: str) -> None:
        """Check that the file of a URI may be watched.

        Raises:
            OperationFailed: there is no root, or the URI is invalid.
            OutOfReach: the file belongs to the server itself.
        """


@dataclass(slots=True, eq=False)
class _Watched:
    uri: str
    on_change: Callable[[str], None]
    signature: str | None


class WatchedFiles:
    """Watches files; needs a running event loop while any file is watched."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._watched: set[_Watched] = set()
        self._restart = anyio.Event()
        self._threads = CapacityLimiter(_THREADS)  # separate from the threads of calls
        self._task: asyncio.Task[None] | None = None
        self._told_reason = ""

    async def watch(self, uri: str, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change` after each change of a `file:` URI's contents, until the returned function is called.

        Its argument names the version of the contents.

        Raises:
            OperationFailed: too many files are watched, there is no root, the URI is invalid, or the file belongs to
                the server itself.
        """
        if not is_file_uri(uri):
            return lambda: None
        if len(self._watched) >= _MOST_WATCHED:
            raise OperationFailed(
                f"{shown(uri)}: {_MOST_WATCHED} files are watched already: unsubscribe from other resources"
            )
        watched = _Watched(uri, on_change, await self._in_thread(lambda: self._first_signature(uri)))
        self._watched.add(watched)
        self._restart.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

        def stop() -> None:
            self._watched.discard(watched)
            self._restart.set()

        return stop

    async def aclose(self) -> None:
        """Stop watching all files."""
        self._watched.clear()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        try:
            while self._watched:
                self._restart = anyio.Event()
                try:
                    await self._watch_directories()
                except Exception as problem:  # e.g. the system has no watches left: fall back to polling
                    self._tell_reason(type(problem).__name__)
                    with anyio.move_on_after(_COMPARE_MILLISECONDS / 1000):
                        await self._restart.wait()
                    await self._compare()
        finally:
            self._task = None

    def _tell_reason(self, reason: str) -> None:
        """Log why notifications are unavailable, once per reason."""
        if reason != self._told_reason:
            self._told_reason = reason
            _log.warning("file notifications are unavailable, so files are polled", reason=reason)

    async def _watch_directories(self) -> None:
        """Compare after each change in the directories and periodically, until the set of watched files changes."""
        from watchfiles import awatch

        directories = await self._in_thread(self._open_directories)
        try:
            names = [f"/proc/self/fd/{descriptor}" for descriptor in directories]
            await self._compare()  # for changes before the directories were watched
            if not names:
                with anyio.move_on_after(_COMPARE_MILLISECONDS / 1000):
                    await self._restart.wait()
                return
            async for _ in awatch(
                *names,
                watch_filter=None,
                debounce=_DEBOUNCE_MILLISECONDS,
                step=_STEP_MILLISECONDS,
                stop_event=self._restart,
                rust_timeout=_COMPARE_MILLISECONDS,
                yield_on_timeout=True,
                recursive=False,
            ):
                await self._compare()
        finally:
            for descriptor in directories:
                os.close(descriptor)

    async def _compare(self) -> None:
        watched = tuple(self._watched)
        for one, signature in zip(watched, await self._in_thread(lambda: self._signatures(watched)), strict=True):
            if signature != one.signature and one in self._watched:
                version = signature or f"removed {one.signature}"
                one.signature = signature
                one.on_change(version)

    def _first_signature(self, uri: str) -> str | None:
        self._files.require_served(uri)
        return self._files.signature(uri)

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        return await to_thread.run_sync(work, limiter=self._threads)

    def _signatures(self, watched: Sequence[_Watched]) -> list[str | None]:
        return [self._files.signature(one.uri) for one in watched]

    def _open_directories(self) -> list[int]:
        """Return one descriptor for each directory that contains a watched file."""
        found: dict[tuple[int, int], int] = {}
        for one in tuple(self._watched):
            with suppress(OperationFailed):
                descriptor = self._files.open_parent(one.uri)
                status = os.fstat(descriptor)
                if found.setdefault((status.st_dev, status.st_ino), descriptor) != descriptor:
                    os.close(descriptor)
        return list(found.values())
