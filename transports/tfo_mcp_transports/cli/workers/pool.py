"""WorkerPool: the parent of the worker processes.

Starts them, replaces those that end, and passes signals on. The first one starts alone: what keeps it from serving,
such as an invalid setting, would keep all of them. Knows no socket and no server.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NoReturn

import structlog

from tfo_mcp.bootstrap import WorkerShare
from tfo_mcp_transports.cli.exit_codes import exit_code_of
from tfo_mcp_transports.cli.workers.parent_link import ParentLink
from tfo_mcp_transports.cli.workers.signal_queue import SignalQueue

_STEADY_SECONDS = 10.0  # a worker that ends sooner has a reason that may concern the next one, too
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0
_VAIN_STARTS = 5  # in a row, after which a server without a serving worker gives up
_MARGIN_SECONDS = 1.1  # after the drain: a worker ends itself before
_LOOK_SECONDS = 1.0
_log = structlog.get_logger("tfo_mcp.workers")


@dataclass(slots=True)
class _Place:
    """One of the places for workers: its process, if there is one, and when the next is due."""

    number: int
    pid: int | None = None
    started: float = 0.0
    serves: bool = False
    failures: int = 0
    due: float | None = None
    reload_later: bool = False


class WorkerPool:
    """Keeps a number of workers running.

    Args:
        count: the number of workers.
        share: what the workers share.
        work: serves in a forked process, in the place with this number, until the worker ends.
        drain_seconds: maximum time for the calls in flight.
        on_serving: called when the first worker serves, with the number of tools that callers without a key do not see.
        on_reloaded: called with the problems of a reload, when all workers have finished it.
        on_stopping: called when the server begins to stop.
    """

    def __init__(
        self,
        count: int,
        share: WorkerShare,
        work: Callable[[int, ParentLink], None],
        drain_seconds: float,
        *,
        on_serving: Callable[[int], None],
        on_reloaded: Callable[[Sequence[str]], None],
        on_stopping: Callable[[], None],
    ) -> None:
        self._places = [_Place(number) for number in range(count)]
        self._board = share.scoreboard
        self._work = work
        self._drain_seconds = drain_seconds
        self._on_serving = on_serving
        self._on_reloaded = on_reloaded
        self._on_stopping = on_stopping
        self._link = ParentLink()
        self._reloading: set[int] = set()
        self._problems: list[str] = []
        self._has_served = False
        self._vain_starts = 0
        self._kill_at: float | None = None
        self._code = 0

    def run(self) -> int:
        """Run until a signal ends the server or no worker can be started; return the exit code."""
        with SignalQueue() as self._signals:
            self._places[0].due = monotonic()
            while self._kill_at is None or self._pids():
                self._start_due()
                self._wait()
                for number in self._signals.take():
                    self._handle(number)
                self._take_notices()
                self._collect_ended()
                self._kill_overdue()
        return self._code

    def _pids(self) -> list[int]:
        return [place.pid for place in self._places if place.pid is not None]

    def _wait(self) -> None:
        """Wait for a signal, a notice, or the time to act."""
        now = monotonic()
        times = [place.due for place in self._places if place.due is not None]
        times += [] if self._kill_at is None else [self._kill_at]
        seconds = max(0.0, min((time - now for time in times), default=_LOOK_SECONDS))
        select.select([self._signals.descriptor, self._link.notices], [], [], min(seconds, _LOOK_SECONDS))

    def _handle(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._reload()
        elif number in (signal.SIGTERM, signal.SIGINT):
            if self._kill_at is None:
                self._stop(self._drain_seconds + _MARGIN_SECONDS)
                self._send_all(signal.SIGTERM)
            else:  # the second signal ends the server at once
                self._code = 128 + number
                self._send_all(signal.SIGKILL)

    def _stop(self, seconds: float) -> None:
        """Start no worker any more, and kill those that still run after a time."""
        self._kill_at = monotonic() + seconds
        for place in self._places:
            place.due = None
        self._on_stopping()

    def _send_all(self, number: signal.Signals) -> None:
        for pid in self._pids():
            os.kill(pid, number)  # it exists at least as a zombie, until it is collected

    def _kill_overdue(self) -> None:
        if self._kill_at is not None and monotonic() >= self._kill_at and self._pids():
            _log.warning("workers have not ended in time and are killed", pids=self._pids())
            self._send_all(signal.SIGKILL)
            self._kill_at = monotonic() + _LOOK_SECONDS

    def _start_due(self) -> None:
        now = monotonic()
        for place in self._places:
            if place.due is not None and place.due <= now:
                self._start(place)

    def _start(self, place: _Place) -> None:
        place.due, place.serves, place.started, place.reload_later = None, False, monotonic(), False
        self._signals.hold_back()
        pid = os.fork()
        if not pid:
            self._run_worker(place.number)
        place.pid = pid
        self._signals.release()
        if self._has_served:
            _log.info("a worker has started", pid=pid)

    def _run_worker(self, place: int) -> NoReturn:
        """Run the work of a forked process to its end; nothing of the parent may run in it."""
        code = 1
        try:
            self._signals.leave_to_child()
            self._link.leave_to_child()
            code = exit_code_of(lambda: self._work(place, self._link))
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _take_notices(self) -> None:
        for notice in self._link.take():
            place = next((place for place in self._places if place.pid == notice.pid), None)
            if place is None:
                continue  # it has ended since
            if notice.problems is None:
                self._now_serves(place, notice.hidden_tools)
            elif notice.pid in self._reloading:  # otherwise the outcome of a further signal, after that of the first
                self._problems += [problem for problem in notice.problems if problem not in self._problems]
                self._finish_reload(notice.pid)

    def _now_serves(self, place: _Place, hidden_tools: int) -> None:
        place.serves = True
        self._vain_starts = 0
        self._board.set_serving(place.number, serves=True)
        if place.reload_later and place.pid is not None:
            os.kill(place.pid, signal.SIGHUP)
        if not self._has_served:
            self._has_served = True
            self._on_serving(hidden_tools)
            if self._kill_at is None:
                for other in self._places[1:]:
                    other.due = monotonic()

    def _reload(self) -> None:
        """Let all workers reload; those that are still starting do it when they serve."""
        for place in self._places:
            if place.pid is not None:
                self._reloading.add(place.pid)
                if place.serves:
                    os.kill(place.pid, signal.SIGHUP)
                else:
                    place.reload_later = True

    def _finish_reload(self, pid: int) -> None:
        if pid in self._reloading:
            self._reloading.discard(pid)
            if not self._reloading:
                problems, self._problems = self._problems, []
                self._on_reloaded(problems)

    def _collect_ended(self) -> None:
        """Collect the processes that have ended, also those that the container's first process is given."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            place = next((place for place in self._places if place.pid == pid), None)
            if place is not None:
                self._ended(place, pid, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, pid: int, code: int) -> None:
        served, place.serves, place.pid = place.serves, False, None
        self._board.set_serving(place.number, serves=False)
        self._finish_reload(pid)
        if self._kill_at is not None:
            return
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if not self._has_served:
            if code <= 0:
                _log.error("the first worker has ended before it served", reason=reason)
            self._give_up(code if code > 0 else 1)  # a worker that fails has said why
            return
        _log.error("a worker has ended", pid=pid, reason=reason)
        self._vain_starts = 0 if served else self._vain_starts + 1
        if self._vain_starts >= _VAIN_STARTS and not any(other.serves for other in self._places):
            _log.error("no worker can be started: the last attempts have failed", attempts=self._vain_starts)
            self._give_up(1)
            return
        now = monotonic()
        place.failures = 0 if served and now - place.started >= _STEADY_SECONDS else place.failures + 1
        place.due = now + self._pause(place.failures)

    @staticmethod
    def _pause(failures: int) -> float:
        """Return the seconds before a worker is replaced: none for one that has served for a while."""
        return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (failures - 1)) if failures else 0.0

    def _give_up(self, code: int) -> None:
        """End the server; workers that are starting serve nobody yet."""
        self._code = code
        self._stop(_LOOK_SECONDS)
        self._send_all(signal.SIGKILL)
