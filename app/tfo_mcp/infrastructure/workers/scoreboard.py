"""Scoreboard: memory that the worker processes of one server share, each with a place of its own.

The parent creates it before it forks. Only the owner of a place writes there, except for the state of the worker, which
the parent writes; so nothing needs a lock, and a worker that is killed leaves its counts behind. A report is written
into one of two buffers and then announced by its number: readers never see half of one. Knows no process and no metric.
"""

import mmap
from collections.abc import Sequence

import structlog

_WORD = 8
_WORDS = 8  # of one place
_SERVES, _CALLS, _FAILED, _CONNECTIONS, _REPORT, _SIZES = 0, 1, 2, 3, 4, 5  # the sizes of two buffers
_BUFFER_BYTES = 4 * 1024 * 1024  # memory is taken only as far as it is written
_ATTEMPTS = 3  # a report can be replaced twice while it is read
_log = structlog.get_logger("tfo_mcp.workers")


class Scoreboard:
    """The shared memory of `places` workers."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._start_of_buffers = places * _WORDS * _WORD
        self._memory = mmap.mmap(-1, self._start_of_buffers + places * 2 * _BUFFER_BYTES)
        self._words = memoryview(self._memory)[: self._start_of_buffers].cast("Q")

    def place(self, number: int) -> "WorkerPlace":
        """Return the view of the worker in a place, for the process that it runs in."""
        return WorkerPlace(self, number)

    @property
    def count(self) -> int:
        """The number of workers that serve."""
        return len(self.serving())

    @property
    def is_complete(self) -> bool:
        """Whether a worker serves in every place."""
        return self.count == self.places

    def serving(self) -> list[int]:
        """Return the places whose worker serves."""
        return [place for place in range(self.places) if self.word(place, _SERVES)]

    def set_serving(self, place: int, *, serves: bool) -> None:
        """Record that the worker in a place serves, or has ended."""
        self.set_word(place, _CONNECTIONS, 0)
        self.set_word(place, _SERVES, int(serves))

    def total(self, word: int) -> int:
        """Return the sum of a word over all places."""
        return sum(self.word(place, word) for place in range(self.places))

    def word(self, place: int, word: int) -> int:
        """Return a word of a place."""
        return self._words[place * _WORDS + word]

    def set_word(self, place: int, word: int, value: int) -> None:
        """Change a word of a place."""
        self._words[place * _WORDS + word] = value

    def write_report(self, place: int, report: bytes) -> None:
        """Write the next report of a place."""
        number = self.word(place, _REPORT) + 1
        start = self._buffer(place, number)
        self._memory[start : start + len(report)] = report
        self.set_word(place, _SIZES + number % 2, len(report))
        self.set_word(place, _REPORT, number)

    def read_report(self, place: int) -> bytes | None:
        """Return the latest report of a place, None if there is none."""
        for _ in range(_ATTEMPTS):
            number = self.word(place, _REPORT)
            if not number:
                return None
            start = self._buffer(place, number)
            report = self._memory[start : start + self.word(place, _SIZES + number % 2)]
            if self.word(place, _REPORT) == number:
                return report
        return None

    def _buffer(self, place: int, number: int) -> int:
        return self._start_of_buffers + (place * 2 + number % 2) * _BUFFER_BYTES


class WorkerPlace:
    """The Workers port of the worker in one place of a scoreboard."""

    def __init__(self, board: Scoreboard, number: int) -> None:
        self._board = board
        self._number = number
        self._inherited = board.read_report(number)
        self._was_too_long = False

    @property
    def count(self) -> int:
        """The number of workers that serve."""
        return self._board.count

    @property
    def is_complete(self) -> bool:
        """Whether a worker serves in every place."""
        return self._board.is_complete

    @property
    def is_first(self) -> bool:
        """Whether this is the first place, whose worker speaks for all."""
        return self._number == 0

    def count_call(self, *, failed: bool) -> None:
        """Count a tool call of this worker."""
        self._add(_CALLS)
        if failed:
            self._add(_FAILED)

    def calls(self) -> tuple[int, int]:
        """Return the number of tool calls of all workers, and of failed ones."""
        return self._board.total(_CALLS), self._board.total(_FAILED)

    def publish(self, report: bytes) -> None:
        """Replace the report of this worker; one that is too long is left out and logged once."""
        if len(report) <= _BUFFER_BYTES:
            self._board.write_report(self._number, report)
        elif not self._was_too_long:
            self._was_too_long = True
            _log.warning("the metrics of this worker are too long for /metrics", bytes=len(report))

    def reports(self) -> Sequence[tuple[bytes, bool]]:
        """Return the latest report of each worker, and whether it serves; this one does."""
        serving = {self._number, *self._board.serving()}
        found = ((self._board.read_report(place), place in serving) for place in range(self._board.places))
        return [(report, serves) for report, serves in found if report is not None]

    def inherited(self) -> bytes | None:
        """Return the last report of the worker that was in this place before."""
        return self._inherited

    def has_more_connections(self, own: int) -> bool:
        """Record the number of this worker's connections; return whether another worker that serves has fewer."""
        self._board.set_word(self._number, _CONNECTIONS, own)
        return any(self._board.word(place, _CONNECTIONS) < own for place in self._board.serving())

    def _add(self, word: int) -> None:
        self._board.set_word(self._number, word, self._board.word(self._number, word) + 1)
