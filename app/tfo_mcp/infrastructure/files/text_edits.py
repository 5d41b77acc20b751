"""Applies exact replacements to a text, and renders them as a unified diff.

The text is kept as pieces, each a slice of the old text or new text. The diff is derived from the pieces, so that
editing and rendering take linear time for any text. Must not know files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tfo_mcp.application.ports import Edit
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.line_ends import LineEnds, Substitution
from tfo_mcp.value_objects import value_object

_CONTEXT_LINES = 3
_SHOWN_CHARACTERS = 80


@value_object
class _Piece:
    """Part of the current text; `start` is its position in the old text, None for new text."""

    text: str
    start: int | None

    def part(self, first: int, end: int) -> "_Piece":
        """Return the characters from `first` up to `end`."""
        return _Piece(self.text[first:end], None if self.start is None else self.start + first)


class EditedText:
    """A text to which edits are applied.

    Args:
        tick: called regularly with the number of replacements; it may raise to stop the work.
    """

    def __init__(self, text: str, tick: Callable[[int], None]) -> None:
        self._old = text
        self._tick = tick
        self._pieces = [_Piece(text, 0)]
        self.text = text
        self.replacements = 0

    def apply(self, edit: Edit, number: int) -> None:
        """Apply an edit; `number` is its position, from 1, in the caller's list.

        Line ends match each other, and new lines get those of the text; see `LineEnds`.

        Raises:
            OperationFailed: the text to replace does not occur, or occurs several times.
        """
        places = self._places(edit, number)
        self._pieces = list(self._replaced(places))
        self.text = "".join(piece.text for piece in self._pieces)
        self.replacements += len(places)

    def changes(self) -> Iterator["TextChange"]:
        """Yield the differences between the old text and the new, in ascending order."""
        for change in _changes(self._pieces, len(self._old)):
            self._tick(self.replacements)
            yield change

    def diff(self, name: str) -> str:
        """Return the unified diff from the old text to the new, empty if they are equal."""
        shown: list[str] = []
        for hunk in _hunks(self._old, self.text, self.changes()):
            shown.append(hunk)
            self._tick(self.replacements)
        return "".join([f"--- {name}\n+++ {name}\n", *shown]) if shown else ""

    def _places(self, edit: Edit, number: int) -> list[Substitution]:
        if not edit.old:
            raise OperationFailed(f"Edit {number}: the text to replace is empty; to create a file use write_file")
        places = []
        for place in LineEnds(self.text).substitutions(edit.old, edit.new):
            places.append(place)
            self._tick(self.replacements)
        if not places:
            raise OperationFailed(
                f"Edit {number}: the file does not contain this exact text: {_shortened(edit.old)}. "
                "Read the file again; whitespace must match"
            )
        if len(places) > 1 and not edit.everywhere:
            lines = ", ".join(str(self.text.count("\n", 0, place.found) + 1) for place in places[:5])
            raise OperationFailed(
                f"Edit {number}: this text occurs {len(places)} times (lines {lines}{', …' * (len(places) > 5)}): "
                f"include more of the surrounding text, or replace all occurrences: {_shortened(edit.old)}"
            )
        return places

    def _replaced(self, places: Sequence[Substitution]) -> Iterator[_Piece]:
        """Yield the pieces of the text in which each of the places is replaced."""
        begin, gone, upcoming = 0, 0, 0  # start of the piece, end of the last replacement, index of the next place
        for piece in self._pieces:
            end = begin + len(piece.text)
            rest = max(begin, gone)
            while upcoming < len(places) and places[upcoming].start < end:
                place = places[upcoming]
                upcoming += 1
                if place.start > rest:
                    yield piece.part(rest - begin, place.start - begin)
                if place.new:
                    yield _Piece(place.new, None)
                rest = gone = place.end
                self._tick(self.replacements + upcoming)
            if rest < end:
                yield piece.part(rest - begin, end - begin)
            begin = end
        if upcoming < len(places) and (new := places[upcoming].new):  # at the end of the text
            yield _Piece(new, None)


@dataclass(slots=True)
class TextChange:
    """A difference, as ranges of characters in the old and in the new text."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def _changes(pieces: Sequence[_Piece], old_length: int) -> Iterator[TextChange]:
    old = new = begin = 0
    for piece in pieces:
        if piece.start is not None:
            if piece.start > old or new > begin:
                yield TextChange(old, piece.start, begin, new)
            old, begin = piece.start + len(piece.text), new + len(piece.text)
        new += len(piece.text)
    if old < old_length or new > begin:
        yield TextChange(old, old_length, begin, new)


@dataclass(slots=True)
class _Span:
    """A difference, as ranges of lines counted from 0, ends excluded."""

    old_first: int
    old_end: int
    new_first: int
    new_end: int


def _hunks(old: str, new: str, changes: Iterator[TextChange]) -> Iterator[str]:
    old_lines, new_lines = _lines(old), _lines(new)
    group: list[_Span] = []
    for span in _spans(old, new, changes):
        if not _trim(span, old_lines, new_lines):
            continue
        if group and span.old_first - group[-1].old_end > 2 * _CONTEXT_LINES:
            yield _hunk(group, old_lines, new_lines)
            group = []
        group.append(span)
    if group:
        yield _hunk(group, old_lines, new_lines)


def _spans(old: str, new: str, changes: Iterator[TextChange]) -> Iterator[_Span]:
    """Yield the changes as ranges of lines; changes that touch the same line are merged."""
    old_index, new_index = _LineIndex(old), _LineIndex(new)
    for change in _joined(old, new, changes):
        yield _Span(
            old_index.line_at(change.old_start),
            old_index.line_at(change.old_end),
            new_index.line_at(change.new_start),
            new_index.line_at(change.new_end),
        )


def _joined(old: str, new: str, changes: Iterator[TextChange]) -> Iterator[TextChange]:
    """Yield the changes, extended to line boundaries and merged where they touch the same line."""
    current: TextChange | None = None
    end = 0  # end of the current change's last line in the old text
    for change in changes:
        if current is not None and change.old_start < end:
            current.old_end, current.new_end = change.old_end, change.new_end
        else:
            if current is not None:
                yield _to_line_ends(current, end)
            to_line_start = change.old_start - (old.rfind("\n", 0, change.old_start) + 1)
            change.old_start -= to_line_start
            change.new_start -= to_line_start
            current = change
        end = _line_end(old, new, current)
    if current is not None:
        yield _to_line_ends(current, end)


def _line_end(old: str, new: str, change: TextChange) -> int:
    """Return the end, in the old text, of the lines that a change touches; both texts are equal after the change."""
    if _begins_line(old, change.old_end) and _begins_line(new, change.new_end):
        return change.old_end
    return old.find("\n", change.old_end) + 1 or len(old)


def _begins_line(text: str, position: int) -> bool:
    return position == 0 or text[position - 1] == "\n"


def _to_line_ends(change: TextChange, end: int) -> TextChange:
    return TextChange(change.old_start, end, change.new_start, change.new_end + end - change.old_end)


def _trim(span: _Span, old_lines: list[str], new_lines: list[str]) -> bool:
    """Remove equal lines from both ends; return whether a difference is left."""
    while (
        span.old_first < span.old_end
        and span.new_first < span.new_end
        and old_lines[span.old_first] == new_lines[span.new_first]
    ):
        span.old_first += 1
        span.new_first += 1
    while (
        span.old_first < span.old_end
        and span.new_first < span.new_end
        and old_lines[span.old_end - 1] == new_lines[span.new_end - 1]
    ):
        span.old_end -= 1
        span.new_end -= 1
    return span.old_first < span.old_end or span.new_first < span.new_end


class _LineIndex:
    """Maps ascending positions in a text to line numbers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 0

    def line_at(self, position: int) -> int:
        """Return the number of lines before a position at the start of a line or at the end of the text."""
        self._line += self._text.count("\n", self._position, position)
        self._position = position
        return self._line + (not _begins_line(self._text, position))


def _hunk(spans: Sequence[_Span], old_lines: list[str], new_lines: list[str]) -> str:
    old_first = max(0, spans[0].old_first - _CONTEXT_LINES)
    old_end = min(len(old_lines), spans[-1].old_end + _CONTEXT_LINES)
    new_first = spans[0].new_first - (spans[0].old_first - old_first)
    new_end = spans[-1].new_end + (old_end - spans[-1].old_end)
    shown = [f"@@ -{_range(old_first, old_end)} +{_range(new_first, new_end)} @@\n"]
    position = old_first
    for span in spans:
        shown += [_marked(" ", line) for line in old_lines[position : span.old_first]]
        shown += [_marked("-", line) for line in old_lines[span.old_first : span.old_end]]
        shown += [_marked("+", line) for line in new_lines[span.new_first : span.new_end]]
        position = span.old_end
    shown += [_marked(" ", line) for line in old_lines[position:old_end]]
    return "".join(shown)


def _range(first: int, end: int) -> str:
    """Return a range of lines in the format of a hunk header; an empty range has the number of the line before it."""
    length = end - first
    if length == 0:
        return f"{first},0"
    return str(first + 1) if length == 1 else f"{first + 1},{length}"


def _marked(mark: str, line: str) -> str:
    return f"{mark}{line}" if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
