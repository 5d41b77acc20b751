"""Collects the matches of a search from the output lines of ripgrep, sorted by path and line.

Owns the truncation of lines and of whole results. Must not know processes.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfo_mcp.application.ports import Match, Matches
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.globs import Glob
from tfo_mcp.infrastructure.files.long_lines import LONGEST_SHOWN, LinePart, LongLine
from tfo_mcp.infrastructure.files.path_resolution import status_beneath
from tfo_mcp.infrastructure.files.paths import uri_unless_plain
from tfo_mcp.infrastructure.files.search_target import ResultPage, Searched

_LINE = re.compile(rb"(\d+)([:-])(\d+)\2(.*)", re.DOTALL)
_NOTICE = re.compile(
    rb'[^\n]*: (?:WARNING: stopped searching binary file after match|binary file matches) \(found "\\0" byte around '
    rb"offset \d+\)\n"
)
"""The program's notice about a binary file, which precedes the next path."""
_OMITTED = b" [... omitted end of long line]"
_MOST_CHARACTERS = 4 << 20  # of all lines of a result


@dataclass(slots=True)
class _Line:
    text: str
    is_match: bool
    offset: int
    is_long: bool


class MatchCollector:
    """Collects the matches of a page and their context, from lines that are sorted by path."""

    def __init__(self, searched: Searched, glob: Glob | None, context: int, page: ResultPage) -> None:
        self._searched = searched
        self._last_path, self._last_is_hidden = "", False
        self._glob = glob
        self._context = context
        self._skip = page.skip
        self._most = page.skip + page.most
        self._count = 0
        self._characters = 0
        self._last_match = "", 0
        self._lines: dict[str, dict[int, _Line]] = {}

    def take(self, raw_path: bytes, rest: bytes) -> bool:
        """Add one output line; return whether the limit is exceeded."""
        parsed = _LINE.fullmatch(rest)
        if parsed is None:
            return False
        path = os.fsdecode(self._without_notice(raw_path)).removeprefix("./")
        is_match = parsed[2] == b":"
        if (self._glob is not None and not self._glob.matches(path)) or self._is_hidden(path):
            return False
        number = int(parsed[1])
        if is_match:
            self._count += 1
            if self._characters > _MOST_CHARACTERS:
                return True
        if self._count > self._most:
            if path != self._last_match[0] or number > self._last_match[1] + self._context:
                return True
            is_match = False  # it is context of the last match of the page
        data = parsed[4]
        text = data.removesuffix(_OMITTED).rstrip(b"\r\n").decode(errors="replace")
        is_long = data.endswith(_OMITTED) or len(text) > LONGEST_SHOWN
        text = f"{text[:LONGEST_SHOWN]}…" if is_long else text
        line = _Line(text, is_match, int(parsed[3]), is_long)
        if self._count <= self._skip:
            self._keep_as_context(path, number, line)
            return False
        if is_match:
            self._last_match = path, number
        self._characters += len(text)
        self._lines.setdefault(path, {})[number] = line
        return False

    def _keep_as_context(self, path: str, number: int, line: _Line) -> None:
        """Keep a line before the first match of the page, as long as it may be part of its context."""
        line.is_match = False
        lines = self._lines.get(path, {})
        lines[number] = line
        if len(lines) > self._context:
            del lines[next(iter(lines))]
        self._lines = {path: lines}

    def long_lines(self) -> list[LongLine]:
        """Return the matching lines that are too long to be shown in full."""
        return [
            LongLine(path, number, line.offset, line.text.removesuffix("…"))
            for path, number, line in self._matching()
            if line.is_long
        ]

    def matches(self, places: Mapping[tuple[str, int], LinePart], *, truncated: bool, timed_out: bool) -> Matches:
        """Return the collected matches; `places` has the parts of long lines to show, by path and line."""
        found: list[Match] = []
        characters = 0
        for path, number, line in self._matching():
            place = places.get((path, number), LinePart(1, line.text))
            before = self._around(path, number - self._context, number)
            after = self._around(path, number + 1, number + 1 + self._context)
            characters += len(place.text) + sum(map(len, before)) + sum(map(len, after))
            if characters > _MOST_CHARACTERS:
                truncated = True
                break
            uri = uri_unless_plain(self._searched.path, path)
            found.append(Match(shown(path), number, place.text, before, after, uri, place.column))
        is_more = self._count > self._most or self._characters > _MOST_CHARACTERS
        return Matches(tuple(found), truncated or is_more, timed_out, more=is_more)

    def _is_hidden(self, path: str) -> bool:
        """Return whether a file is protected; the last answer is cached, as the lines of a file are consecutive."""
        if path != self._last_path:
            self._last_path, self._last_is_hidden = path, self._searched.hides(path)
        return self._last_is_hidden

    def _matching(self) -> Iterator[tuple[str, int, _Line]]:
        for path, lines in sorted(self._lines.items(), key=lambda item: item[0].split("/")):
            for number, line in sorted(lines.items()):
                if line.is_match:
                    yield path, number, line

    def _around(self, path: str, first: int, end: int) -> tuple[str, ...]:
        lines = self._lines[path]
        return tuple(lines[number].text for number in range(first, end) if number in lines)

    def _without_notice(self, path: bytes) -> bytes:
        """Return a path without a preceding binary file notice, unless a file really has that name."""
        if b"\n" not in path or (notice := _NOTICE.match(path)) is None:
            return path
        whole = os.fsdecode(path).removeprefix("./")
        return path if status_beneath(self._searched.directory, whole) is not None else path[notice.end() :]
