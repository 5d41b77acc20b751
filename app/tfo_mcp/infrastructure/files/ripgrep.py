"""Runs ripgrep: lists the files that its ignore rules leave, and searches for lines that match an expression.

Owns ripgrep's command line, its output format and its limits. The program runs confined to the directory that it
searches, never follows links, reads no configuration, and matches in linear time. Used in worker threads.

The program gets little memory. It holds one line at a time, but not all matches in it, so it is asked only for lines;
a second step locates the match in a long line (`long_lines`).
"""

import os
import select
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import accumulate
from time import monotonic
from typing import IO

from tfo_mcp.application.ports import Contents, Filter, Matches
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.globs import Glob, with_literal_braces
from tfo_mcp.infrastructure.files.ignore_rules import REPOSITORY, excluded_lines
from tfo_mcp.infrastructure.files.long_lines import locate
from tfo_mcp.infrastructure.files.match_collector import MatchCollector
from tfo_mcp.infrastructure.files.memory_file import file_of
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.search_target import ResultPage, Searched
from tfo_mcp.infrastructure.files.threads import MoreMemoryNeeded
from tfo_mcp.value_objects import value_object

StartReader = Callable[[Sequence[str], int, int, Sequence[int], int], "subprocess.Popen[bytes]"]
"""Starts a confined program. Arguments: its command line, descriptors of its working directory and of the only
directory that it can read, further descriptors that it inherits, and its memory in bytes."""


@value_object
class Effort:
    """The budget of one attempt at a search.

    Args:
        report: receives progress; used in the thread of the attempt.
        deadline: end of its time, as `time.monotonic`.
        is_last: whether no further attempt, with more memory, follows.
    """

    report: Report
    deadline: float
    is_last: bool


_ALWAYS = (
    "--no-config",
    "--no-messages",
    "--hidden",
    "--no-require-git",
    "--no-ignore-global",  # of all ignore files, only .gitignore counts
    "--no-ignore-exclude",
    "--no-ignore-dot",
    "--color=never",
    "--threads=1",  # one thread streams a directory; several keep all entries of a large one in memory
    "--no-mmap",
)  # fmt: skip
_EXPRESSION = ("--regex-size-limit=16M", "--dfa-size-limit=8M", "--crlf")
_LINES = (
    "--null",
    "--with-filename",
    "--no-heading",
    "--line-number",
    "--byte-offset",
    "--no-context-separator",
    "--max-columns=2000",  # bytes; at least the characters that are shown of a line
    "--max-columns-preview",
)
_POSITIONS = (
    "--no-config",
    "--color=never",
    "--no-mmap",
    "--text",
    "--no-filename",
    "--no-heading",
    "--line-number",
    "--byte-offset",
    "--only-matching",
    "--replace=",  # only positions are needed, not the matching text
)
_USUAL_MEMORY = 16 << 20
_MOST_MEMORY = 52 << 20  # enough for a line of 20 MB
_LARGEST_WITHIN_MEMORY = "--max-filesize=16M"
_SORTED = "--sort=path"  # keeps the names of a directory in memory; without it, no page follows another one
_OUT_OF_MEMORY = b"memory allocation"
_CHUNK = 256 * 1024
_LONGEST_RECORD = 64 * 1024
_LONGEST_EXPRESSION = 10_000
_LOOK_MILLISECONDS = 100
_KEPT_MESSAGE = 4096
_END_SECONDS = 5.0
_FOUND_OR_NOT = (0, 1)
_SOME_ERRORS = 2  # includes files that could not be read


@cache
def program() -> str | None:
    """Return the path of ripgrep: the one installed with this interpreter, otherwise the one in PATH."""
    return shutil.which("rg", path=sysconfig.get_path("scripts")) or shutil.which("rg")


def _program() -> str:
    if (path := program()) is None:
        raise OperationFailed("Searching needs ripgrep: install the package, or the program rg")
    return path


class Ripgrep:
    """Searches directories.

    Args:
        start: starts a confined program.
    """

    def __init__(self, start: StartReader) -> None:
        self._start = start

    def names(self, searched: Searched, filter: Filter, effort: Effort) -> Iterator[str]:
        """Yield the relative paths of the files below a directory that are not ignored, until the deadline.

        Raises:
            MoreMemoryNeeded: the memory did not suffice, and this was not the last attempt.
        """
        with self._running(["--files", "--null"], searched, _excluded(filter), filter, effort) as search:
            for record in search.records(b"\0"):
                yield os.fsdecode(record).removeprefix("./")
            try:
                search.require_success()
            except MoreMemoryNeeded:
                if effort.is_last:
                    raise _too_large() from None
                raise

    def matches(
        self, searched: Searched, contents: Contents, filter: Filter, page: ResultPage, effort: Effort
    ) -> Matches:
        """Return the lines that match.

        Raises:
            OperationFailed: the expression is not valid.
            MoreMemoryNeeded: the memory did not suffice, and this was not the last attempt.
        """
        if not contents.expression or len(contents.expression) > _LONGEST_EXPRESSION or "\0" in contents.expression:
            raise OperationFailed(f"The expression must have 1 to {_LONGEST_EXPRESSION} characters, none of them NUL")
        try:
            return self._matches(searched, contents, filter, page, effort, (_SORTED,))
        except MoreMemoryNeeded:
            if not effort.is_last:
                raise
        try:
            found = self._matches(searched, contents, filter, page, effort, (_LARGEST_WITHIN_MEMORY,))
        except MoreMemoryNeeded:
            raise _too_large() from None
        return Matches(found.matches, truncated=True, timed_out=found.timed_out)

    def _matches(
        self,
        searched: Searched,
        contents: Contents,
        filter: Filter,
        page: ResultPage,
        effort: Effort,
        more_options: Sequence[str],
    ) -> Matches:
        glob = None if filter.pattern is None else Glob(filter.pattern)
        expression = [
            *_EXPRESSION,
            *(["--ignore-case"] if contents.ignore_case else []),
            f"--regexp={contents.expression}",
        ]
        options = [*_LINES, f"--context={contents.context}", *more_options, *expression]
        found = MatchCollector(searched, glob, contents.context, page)
        ignored = [*([] if glob is None else glob.ignore_lines()), *_excluded(filter)]
        with self._running(options, searched, ignored, filter, effort) as search:
            for path, line in search.lines():
                if found.take(path, line):
                    break
            else:
                search.require_success()
        places = locate(
            searched.directory, found.long_lines(), partial(self._first_matches, searched, expression, effort)
        )
        return found.matches(places, truncated=search.timed_out, timed_out=search.timed_out)

    def _first_matches(
        self, searched: Searched, expression: Sequence[str], effort: Effort, lines: Sequence[bytes]
    ) -> Generator[tuple[int, int]]:
        """Yield the line number, from 0, and the position in bytes of each match."""
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        with file_of(b"%b\n" % line for line in lines) as (descriptor, name):
            line = [_program(), *_POSITIONS, *expression, "--", name]
            with self._started(line, searched, (descriptor,), effort) as search:
                for record in search.records(b"\n"):
                    number, position = map(int, record.split(b":")[:2])
                    yield number - 1, position - starts[number - 1]

    @contextmanager
    def _running(
        self, options: Sequence[str], searched: Searched, ignore_lines: Sequence[str], filter: Filter, effort: Effort
    ) -> Iterator["_Search"]:
        """Run the program until the end of the block.

        Raises:
            OperationFailed: the program cannot be started.
        """
        with file_of(f"{line}\n".encode() for line in ignore_lines) as (descriptor, ignore_file):
            line = [_program(), *_ALWAYS, f"--ignore-file={ignore_file}", *options]
            line += ["--no-ignore"] if filter.ignored else [f"--glob=!{REPOSITORY}"]
            line += [f"--glob={exclusion}" for exclusion in searched.exclusions()]
            with self._started([*line, "--", "./"], searched, (descriptor,), effort) as search:
                yield search

    @contextmanager
    def _started(
        self, line: Sequence[str], searched: Searched, descriptors: Sequence[int], effort: Effort
    ) -> Iterator["_Search"]:
        memory = _MOST_MEMORY if effort.is_last else _USUAL_MEMORY
        process = self._start(line, searched.directory, searched.root, descriptors, memory)
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            try:
                yield _Search(process, process.stdout, process.stderr, effort)
            finally:
                process.kill()
                process.wait()


class _Search:
    """A running search; `timed_out` is whether the deadline stopped it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", output: IO[bytes], errors: IO[bytes], effort: Effort
    ) -> None:
        self._process = process
        self._output = output.fileno()
        self._errors = errors
        self._effort = effort
        self._count = 0
        self.timed_out = False

    def records(self, end: bytes) -> Iterator[bytes]:
        """Yield the records of the output; one that is too long is skipped."""
        rest, dropping = b"", False
        for chunk in self._chunks():
            records = (rest + chunk).split(end)
            rest = records.pop()
            if dropping and records:
                del records[0]
                dropping = False
            if dropping or len(rest) > _LONGEST_RECORD:
                rest, dropping = b"", True
            self._count += len(records)
            yield from records

    def lines(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the path and the rest of each output line; a long line is truncated."""
        rest, dropping = b"", False
        for chunk in self._chunks():
            buffer, begin = rest + chunk, 0
            if dropping:
                begin = buffer.find(b"\n") + 1
                dropping = begin == 0
                begin = begin or len(buffer)
            while (end_of_path := buffer.find(b"\0", begin)) >= 0 and (end := buffer.find(b"\n", end_of_path)) >= 0:
                self._count += 1
                yield buffer[begin:end_of_path], buffer[end_of_path + 1 : end]
                begin = end + 1
            rest = buffer[begin:]
            if len(rest) > _LONGEST_RECORD:
                path, is_whole_path, line = rest.partition(b"\0")
                if is_whole_path:
                    yield path, line
                rest, dropping = b"", True

    def _chunks(self) -> Iterator[bytes]:
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while True:
            self._effort.report.tick(self._count)
            if monotonic() > self._effort.deadline:
                self.timed_out = True
                return
            if not poll.poll(_LOOK_MILLISECONDS):
                continue
            chunk = os.read(self._output, _CHUNK)
            if not chunk:
                return
            yield chunk

    def require_success(self) -> None:
        """Check the exit code of the program, unless the deadline stopped it.

        Raises:
            OperationFailed: the program failed, or rejected the expression.
            MoreMemoryNeeded: the program ran out of memory.
        """
        if self.timed_out or self._process.wait(_END_SECONDS) in _FOUND_OR_NOT:
            return
        said = self._errors.read(_KEPT_MESSAGE)
        if self._process.returncode != _SOME_ERRORS:
            if _OUT_OF_MEMORY in said:
                raise MoreMemoryNeeded
            raise OperationFailed("The search program failed: try again, or search a smaller directory")
        if message := said.decode(errors="replace").strip():
            detail = message.partition("\nerror: ")[2] or message.partition("\n")[0].removeprefix("rg: ")
            raise OperationFailed(
                f"The expression is not valid: {shown(detail)}. Expressions match in linear time: no look-around, "
                "no back-references, no matches across lines"
            )


def _too_large() -> OperationFailed:
    return OperationFailed("The search needs too much memory: search a smaller directory")


def _excluded(filter: Filter) -> list[str]:
    return [with_literal_braces(line) for line in excluded_lines(filter)]
