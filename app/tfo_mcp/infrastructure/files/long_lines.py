"""Locates the first match in a long line, and returns the part of the line around it.

A line is read in windows, which the search program searches as separate lines. Windows overlap, and a match counts only
if it starts outside of the overlap, so that an anchor at the edge of a window has no effect. Most matches lie near the
beginning, so the first step searches one window of each line, and each further step eight times as many.
"""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

from tfo_mcp.infrastructure.files.path_resolution import open_beneath
from tfo_mcp.value_objects import value_object

LONGEST_SHOWN = 500
"""Maximum characters that are shown of a line."""
_BEFORE = LONGEST_SHOWN // 4
_BYTES_SHOWN = 4 * LONGEST_SHOWN
_WINDOW = 4096
_OVERLAP = 512
_GROWTH = 8
_LINES_AT_ONCE = 64
_STEP_BYTES = 4 << 20  # of the windows of one step
_MOST_BYTES = 128 << 20  # of all windows of a search
_CONTINUATION = bytes(range(0x80, 0xC0))  # UTF-8 continuation bytes
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

FirstMatches = Callable[[Sequence[bytes]], Generator[tuple[int, int]]]
"""Searches lines; yields the line number, from 0, and the position in bytes of each match, in order."""


class LinePart(NamedTuple):
    """The part of a line that is shown, and the column, from 1, where it starts."""

    column: int
    text: str


@value_object
class LongLine:
    """A long line: its file, line number, offset in the file in bytes, and first characters."""

    path: str
    number: int
    offset: int
    beginning: str


class _Window(NamedTuple):
    """A part of a line; positions are in bytes from the start of the line.

    A match counts if it starts at or after `first` and before `end`. `characters` is the number of characters of the
    line before `first`.
    """

    scan: "_Scan"
    start: int
    first: int
    end: int
    characters: int


class _Scan:
    """The scan of one line, from its beginning to its end."""

    def __init__(self, line: LongLine, file: int) -> None:
        self.line = line
        self._file = file
        self._offset = line.offset
        self._position = 0
        self._characters = 0
        self._end: int | None = None

    def is_readable(self) -> bool:
        """Return whether the line is at its offset; the file may have changed, or have another encoding than UTF-8."""
        if not self._begins() and os.pread(self._file, 3, 0) == _BYTE_ORDER_MARK:
            self._offset += len(_BYTE_ORDER_MARK)  # ripgrep does not count it
        return self._begins()

    @property
    def is_over(self) -> bool:
        """Whether the whole line was scanned."""
        return self._end is not None and self._position >= self._end

    def next_window(self) -> tuple[_Window, bytes]:
        """Return the next window of the line, and its bytes."""
        start, first = max(0, self._position - _OVERLAP), self._position
        data = self._read(start, first - start + _WINDOW + _OVERLAP)
        end = first + _WINDOW if self._end is None else min(first + _WINDOW, self._end)
        window = _Window(self, start, first, end, self._characters)
        self._position = end
        self._characters += _count(data[first - start : end - start])
        return window, data

    def is_in(self, window: _Window, position: int) -> bool:
        """Return whether a match at a position in the line counts for a window."""
        return window.first <= position < window.end or position == window.end == self._end

    def place(self, window: _Window, position: int) -> LinePart:
        """Return the part of the line around a position in a window."""
        characters = window.characters + _count(self._read(window.first, position - window.first))
        data = self._read(position, _BYTES_SHOWN)
        after = data.decode(errors="replace")
        start = max(0, position - _BYTES_SHOWN)
        left = self._read(start, position - start)
        whole = left if start == 0 else left.lstrip(_CONTINUATION)
        before = whole.decode(errors="replace")[-max(_BEFORE, LONGEST_SHOWN - len(after)) :]
        shown = before + after[: LONGEST_SHOWN - len(before)]
        is_cut = len(before) + len(after) > LONGEST_SHOWN or self._end != position + len(data)
        shown = shown if is_cut else shown.rstrip("\r")
        column = max(1, characters - len(before) + 1)
        return LinePart(column, f"{'…' if column > 1 else ''}{shown}{'…' if is_cut else ''}")

    def _begins(self) -> bool:
        self._end = None
        return self._read(0, _BYTES_SHOWN).decode(errors="replace").startswith(self.line.beginning)

    def _read(self, first: int, size: int) -> bytes:
        if self._end is not None:
            size = min(size, self._end - first)
        data = os.pread(self._file, max(0, size), self._offset + first)
        newline = data.find(b"\n")
        if newline >= 0:
            data = data[:newline]
        if len(data) < size:
            self._end = first + len(data)
        return data


def locate(
    directory: int, lines: Sequence[LongLine], first_matches: FirstMatches
) -> Mapping[tuple[str, int], LinePart]:
    """Return the parts of long lines to show, by path and line number, without lines in which no match is found."""
    places: dict[tuple[str, int], LinePart] = {}
    left = _MOST_BYTES
    for begin in range(0, len(lines), _LINES_AT_ONCE):
        with ExitStack() as files:
            pending = _opened(directory, lines[begin : begin + _LINES_AT_ONCE], files)
            windows_each = 1
            while pending and left > 0:
                windows_each = min(windows_each, max(1, _STEP_BYTES // (_WINDOW * len(pending))))
                found, size = _step(pending, windows_each, first_matches)
                places |= {(scan.line.path, scan.line.number): place for scan, place in found.items()}
                left -= size
                pending = [scan for scan in pending if scan not in found and not scan.is_over]
                windows_each *= _GROWTH
    return places


def _opened(directory: int, lines: Sequence[LongLine], files: ExitStack) -> list[_Scan]:
    scans = []
    for line in lines:
        if (file := open_beneath(directory, line.path)) is not None:
            files.callback(os.close, file)
            scan = _Scan(line, file)
            if scan.is_readable():
                scans.append(scan)
    return scans


def _step(scans: Sequence[_Scan], windows_each: int, first_matches: FirstMatches) -> tuple[dict[_Scan, LinePart], int]:
    """Return the places of the first matches in the next windows of the lines, and the number of bytes searched."""
    windows: list[_Window] = []
    texts: list[bytes] = []
    for scan in scans:
        for _ in range(windows_each):
            if not scan.is_over:
                window, text = scan.next_window()
                windows.append(window)
                texts.append(text)
    found: dict[_Scan, LinePart] = {}
    with closing(first_matches(texts)) as matches:
        for number, position in matches:
            window = windows[number]
            at = window.start + position
            if window.scan not in found and window.scan.is_in(window, at):
                found[window.scan] = window.scan.place(window, at)
                if len(found) == len(scans):
                    break
    return found, sum(map(len, texts))


def _count(data: bytes) -> int:
    """Return the number of characters of UTF-8 data."""
    return len(data.translate(None, _CONTINUATION))
