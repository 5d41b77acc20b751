"""Transactions on an SQLite file: in a thread with one connection, since SQLite has one writer at a time.

Changes that wait while another transaction is committed share the next one, so that many changes cost one write to the
disk (docs/adr/0034). Knows no table and no deadline of a caller.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

ResultT = TypeVar("ResultT")
_CHANGES = "tfo_changes"  # execution option of connections that change something
_FILE = "tfo_file"  # where a connection notes its file
_TOGETHER = 256  # jobs that are taken at once
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit survives a loss of power
    "PRAGMA foreign_keys = ON",
)


class _Job(NamedTuple):
    """Work, and the future of its result in the loop that waits for it."""

    work: Callable[[Connection], Any]
    changes: bool
    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]


class _Outcome(NamedTuple):
    """What came of a job."""

    job: _Job
    value: Any = None
    problem: Exception | None = None


class SqliteTransactions:
    """Runs work on a file that exists.

    Args:
        lock_seconds: how long to wait for a lock of another process.
    """

    def __init__(self, path: Path, lock_seconds: float) -> None:
        address = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})
        self._engine = create_engine(address, connect_args={"timeout": lock_seconds}, pool_size=1, max_overflow=0)
        self._changing_engine = self._engine.execution_options(**{_CHANGES: True})
        file = _File(path)
        event.listen(self._engine, "connect", file.connected)
        event.listen(self._engine, "begin", file.begin)
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[Connection], ResultT], *, changes: bool) -> asyncio.Future[ResultT]:
        """Return the result of work in a transaction; cancelling the future drops work that has not begun.

        The transaction is rolled back if the work raises. The work may run twice, so it must have no other effects.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, changes, loop, loop.create_future())
        self._jobs.put(job)
        if self._thread is None:  # a server that forks its workers has no thread before that
            self._thread = threading.Thread(target=self._serve, name="sqlite", daemon=True)
            self._thread.start()
        return job.result

    async def aclose(self) -> None:
        """Close the connection after the work that waits."""
        if self._thread is not None:
            last = self.run(_last, changes=False)
            self._thread = None
            await last

    def _serve(self) -> None:
        """Run jobs until the end."""
        while (job := self._jobs.get()).work is not _last:
            jobs = [job, *self._waiting()]
            for reading in (job for job in jobs if not job.changes):
                self._run_alone(reading)
            self._run_together([job for job in jobs if job.changes])
        self._engine.dispose()
        _deliver([_Outcome(job)])

    def _waiting(self) -> Iterator[_Job]:
        with suppress(Empty):
            for _ in range(_TOGETHER - 1):
                job = self._jobs.get_nowait()
                if job.work is _last:
                    self._jobs.put(job)  # it is the last one again
                    return
                yield job

    def _run_together(self, jobs: Sequence[_Job]) -> None:
        """Run changes in one transaction; after a failure of one, each runs in a transaction of its own."""
        awaited = [job for job in jobs if not job.result.done()]
        if len(awaited) > 1:
            with suppress(Exception):
                with self._changing_engine.begin() as connection:
                    outcomes = [_Outcome(job, job.work(connection)) for job in awaited]
                _deliver(outcomes)
                return
        for job in awaited:
            self._run_alone(job)

    def _run_alone(self, job: _Job) -> None:
        if job.result.done():
            return
        try:
            with (self._changing_engine if job.changes else self._engine).begin() as connection:
                value = job.work(connection)
        except Exception as problem:
            _deliver([_Outcome(job, problem=problem)])
        else:
            _deliver([_Outcome(job, value)])


class _File:
    """Sets up connections to a file, and notices when it was moved away or replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def connected(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Set up a new connection."""
        record.info[_FILE] = self._identity()
        connection.isolation_level = None  # the driver would begin transactions late, and not before DDL
        cursor = connection.cursor()
        for statement in _SETTINGS:
            cursor.execute(statement)
        cursor.close()

    def begin(self, connection: Connection) -> None:
        """Begin a transaction; one that will write takes the lock at once, since a later upgrade of a lock can fail.

        Raises:
            OSError: the connection is to a file that is not there any more, so that changes would be lost.
        """
        if connection.info[_FILE] != self._identity():
            connection.invalidate()
            raise OSError(errno.ESTALE, "the file was moved away or replaced")
        changes = connection.get_execution_options().get(_CHANGES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if changes else "BEGIN")

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _last(_connection: Connection) -> None:
    """Mark the last job, which is not run."""


def _deliver(outcomes: Sequence[_Outcome]) -> None:
    """Set results in the loops that wait for them; a loop that has ended waits no more."""
    for loop in {outcome.job.loop for outcome in outcomes}:
        own = [outcome for outcome in outcomes if outcome.job.loop is loop]
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_set_results, own)


def _set_results(outcomes: Sequence[_Outcome]) -> None:
    for job, value, problem in outcomes:
        if job.result.done():
            continue
        if problem is None:
            job.result.set_result(value)
        else:
            job.result.set_exception(problem)
