"""Searching by ripgrep: the names of files as its ignore rules leave them, and lines that match an expression.

Owns the command line, the reading of its output and its limits. The program runs confined (whoever starts it is given
only the directory to read), never follows links, reads no configuration, and has only expressions of linear time. Used
in worker threads.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from time import monotonic
from typing import IO, Any

from app.application.ports import Contents, Filter, Match, Matches
from app.domain.errors import OperationFailed
from app.infrastructure.files.globs import Glob
from app.infrastructure.files.paths import uri_unless_plain
from app.infrastructure.files.reporting import Report
from app.infrastructure.files.searched import Searched
from app.infrastructure.files.wording import shown

StartReader = Callable[[Sequence[str], int, int, Sequence[int]], "subprocess.Popen[bytes]"]
"""Starts a program that works in the directory of a descriptor, may read that of a second and nothing else, and
inherits the other ones."""


_ALWAYS = (
    "--no-config",
    "--no-messages",
    "--hidden",
    "--no-require-git",
    "--no-ignore-global",
    "--color=never",
)  # fmt: skip
_CONTENTS = ("--json", "--regex-size-limit=16M", "--dfa-size-limit=64M", "--crlf")
_CHUNK = 256 * 1024
_LONGEST_RECORD = 4 * 1024 * 1024
_LONGEST_LINE = 500  # characters shown of one line
_MOST_EXCLUDES = 100
_LONGEST_EXPRESSION = 10_000
_LOOK_MILLISECONDS = 100
_KEPT_MESSAGE = 4096
_END_SECONDS = 5.0
_FOUND_OR_NOT = (0, 1)
_SOME_ERRORS = 2  # among them files that could not be read


@cache
def program() -> str | None:
    """Return the path of ripgrep: the one that was installed beside this interpreter, or else the machine's."""
    return shutil.which("rg", path=sysconfig.get_path("scripts")) or shutil.which("rg")


class Ripgrep:
    """Searches directories.

    Args:
        start: starts a confined program.
        timeout_seconds: how long one search may take.
    """

    def __init__(self, start: StartReader, timeout_seconds: float) -> None:
        self._start = start
        self._timeout_seconds = timeout_seconds

    def names(self, searched: Searched, filter: Filter, report: Report) -> tuple[list[str], bool]:
        """Return the relative paths of the files below a directory that are not ignored, and whether time ran out."""
        names: list[str] = []
        with self._running(["--files", "--null"], searched, _ignore_lines(filter, None), filter.ignored) as search:
            for record in search.records(b"\0", report):
                name = os.fsdecode(record)
                names.append(name.removeprefix("./"))
            search.require_success()
        return names, search.timed_out

    def matches(self, searched: Searched, contents: Contents, filter: Filter, most: int, report: Report) -> Matches:
        """Return the lines that match.

        Raises:
            OperationFailed: the expression is not valid.
        """
        if not contents.expression or len(contents.expression) > _LONGEST_EXPRESSION or "\0" in contents.expression:
            raise OperationFailed(f"The expression must have 1 to {_LONGEST_EXPRESSION} characters, none of them NUL")
        glob = None if filter.pattern is None else Glob(filter.pattern)
        options = [
            *_CONTENTS,
            f"--context={contents.context}",
            *(["--ignore-case"] if contents.ignore_case else []),
            f"--regexp={contents.expression}",
        ]
        found = _Found(searched, glob, contents.context, most)
        with self._running(options, searched, _ignore_lines(filter, glob), filter.ignored) as search:
            for record in search.records(b"\n", report):
                if found.take(json.loads(record)):
                    break
            else:
                search.require_success()
        return found.matches(truncated=search.timed_out or search.skipped, timed_out=search.timed_out)

    @contextmanager
    def _running(
        self, options: Sequence[str], searched: Searched, ignore_lines: Sequence[str], ignored: bool
    ) -> Iterator["_Search"]:
        """Run the program until the end of the block.

        Raises:
            OperationFailed: it cannot be started.
        """
        if (executable := program()) is None:
            raise OperationFailed("Searching needs ripgrep: install the package, or the program rg")
        with _file_of(ignore_lines) as (descriptor, ignore_file):
            line = [executable, *_ALWAYS, f"--ignore-file={ignore_file}", *options]
            line += ["--no-ignore"] if ignored else []
            line += [f"--glob={exclusion}" for exclusion in searched.exclusions()]
            process = self._start([*line, "--", "./"], searched.directory, searched.root, (descriptor,))
            assert process.stdout is not None
            assert process.stderr is not None
            with process.stdout, process.stderr:
                try:
                    yield _Search(process, process.stdout, process.stderr, monotonic() + self._timeout_seconds)
                finally:
                    process.kill()
                    process.wait()


class _Search:
    """A search that runs. `timed_out` says that it was ended by its time limit, `skipped` that a record was too
    long."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", output: IO[bytes], errors: IO[bytes], deadline: float
    ) -> None:
        self._process = process
        self._output = output.fileno()
        self._errors = errors
        self._deadline = deadline
        self.timed_out = False
        self.skipped = False

    def records(self, end: bytes, report: Report) -> Iterator[bytes]:
        """Yield what the program writes, record by record, until it ends or its time is over."""
        rest = b""
        count = 0
        dropping = False
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while True:
            report.tick(count)
            if monotonic() > self._deadline:
                self.timed_out = True
                return
            if not poll.poll(_LOOK_MILLISECONDS):
                continue
            chunk = os.read(self._output, _CHUNK)
            if not chunk:
                return
            records = (rest + chunk).split(end)
            rest = records.pop()
            if dropping and records:
                del records[0]
                dropping = False
            if dropping or len(rest) > _LONGEST_RECORD:
                rest, dropping, self.skipped = b"", True, True
            count += len(records)
            yield from records

    def require_success(self) -> None:
        """Look at how the program ended, unless its time was over.

        Raises:
            OperationFailed: it says that the expression or a pattern is not valid, or failed.
        """
        if self.timed_out or self._process.wait(_END_SECONDS) in _FOUND_OR_NOT:
            return
        message = self._errors.read(_KEPT_MESSAGE).decode(errors="replace").strip()
        if message:
            detail = message.partition("\nerror: ")[2] or message.partition("\n")[0].removeprefix("rg: ")
            raise OperationFailed(
                f"The expression is not valid: {shown(detail)}. It is one of linear time: no look-around, no "
                "back-references, nothing that spans lines"
            )
        if self._process.returncode != _SOME_ERRORS:
            raise OperationFailed("The search program failed: try again, or search a smaller directory")


class _Found:
    """Puts together matches and their context from the program's messages, in order of path and line."""

    def __init__(self, searched: Searched, glob: Glob | None, context: int, most: int) -> None:
        self._searched = searched
        self._glob = glob
        self._context = context
        self._most = most
        self._count = 0
        self._lines: dict[str, dict[int, tuple[str, bool]]] = {}
        self._last_path, self._last_is_hidden = "", False

    def take(self, message: Any) -> bool:
        """Take one message; tell whether there are more matches than are wanted."""
        if message["type"] not in ("match", "context"):
            return False
        data = message["data"]
        path = _text(data["path"]).removeprefix("./")
        is_match = message["type"] == "match"
        if (self._glob is not None and not self._glob.matches(path)) or self._is_hidden(path):
            return False
        if is_match:
            self._count += 1
            if self._count > self._most:
                return True
        shown_line = _line(_text(data["lines"]), data.get("submatches") or ())
        self._lines.setdefault(path, {})[data["line_number"]] = (shown_line, is_match)
        return False

    def _is_hidden(self, path: str) -> bool:
        """Tell whether a file is protected; the messages of one file come one after the other."""
        if path != self._last_path:
            self._last_path, self._last_is_hidden = path, self._searched.hides(path)
        return self._last_is_hidden

    def matches(self, *, truncated: bool, timed_out: bool) -> Matches:
        """Return what was found."""
        found = [
            Match(
                path=shown(path),
                line=number,
                text=text,
                before=self._around(lines, number - self._context, number),
                after=self._around(lines, number + 1, number + 1 + self._context),
                uri=uri_unless_plain(self._searched.path, path),
            )
            for path, lines in sorted(self._lines.items(), key=lambda item: item[0].split("/"))
            for number, (text, is_match) in sorted(lines.items())
            if is_match
        ]
        return Matches(tuple(found), truncated or self._count > self._most, timed_out)

    @staticmethod
    def _around(lines: dict[int, tuple[str, bool]], first: int, end: int) -> tuple[str, ...]:
        return tuple(lines[number][0] for number in range(first, end) if number in lines)


def _text(value: Any) -> str:
    """Return a text of the program's, which gives what is not UTF-8 as base64; carried as the standard library does."""
    if "text" in value:
        return str(value["text"])
    return os.fsdecode(base64.b64decode(value["bytes"]))


def _line(text: str, submatches: Sequence[Any]) -> str:
    """Return a line to be shown: without its end, safe as JSON, and cut around the first match if it is long."""
    line = text.rstrip("\r\n").encode(errors="surrogateescape").decode(errors="replace")
    if len(line) <= _LONGEST_LINE:
        return line
    start = max(0, (submatches[0]["start"] if submatches else 0) - _LONGEST_LINE // 4)
    cut = line.encode()[start : start + 4 * _LONGEST_LINE].decode(errors="ignore")[:_LONGEST_LINE]
    return f"{'…' if start else ''}{cut}…"


def _ignore_lines(filter: Filter, glob: Glob | None) -> list[str]:
    excluded = list(filter.exclude)
    if len(excluded) > _MOST_EXCLUDES or not all(line.isprintable() and line.strip() for line in excluded):
        raise OperationFailed(f"`exclude` takes at most {_MOST_EXCLUDES} globs, each one line, such as node_modules/")
    own = [] if filter.ignored else [".git"]
    return [*([] if glob is None else glob.ignore_lines()), *own, *excluded]


@contextmanager
def _file_of(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the descriptor of a file with these lines and the name by which a program that inherits it can open it."""
    if hasattr(os, "memfd_create"):
        descriptor, directory = os.memfd_create("tfo-mcp-ignore"), "/proc/self/fd"
    else:
        descriptor, directory = _anonymous_file(), "/dev/fd"
    try:
        os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
        yield descriptor, f"{directory}/{descriptor}"
    finally:
        os.close(descriptor)


def _anonymous_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
