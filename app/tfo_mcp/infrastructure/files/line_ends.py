"""Finds and replaces text in which a line may end with LF, CRLF or CR.

Owns three rules. LF and CRLF in the text to find match every line end; a CR alone is first tried as it is. LF and CRLF
in the replacement become the line end of the line that they replace, or of the nearest line. If both texts differ only
in their line ends, they are taken literally, and a CRLF is one line end. Appended text has the last line end before it.
Must not know files.
"""

import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

_ANY = re.compile(r"\r\n|\r|\n")
_GIVEN = re.compile(r"\r?\n")  # in the texts of an edit; a CR alone is a character like others
_LONE_CR = re.compile(r"\r(?!\n)")


class Substitution(NamedTuple):
    """The characters from `start` up to `end` are replaced by `new`; the text to find occurs at `found`."""

    start: int
    end: int
    new: str
    found: int


class LineEnds:
    """The line ends of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._kinds = _kinds_in(text)
        self._next: re.Match[str] | None = None
        self._has_searched = False

    def substitutions(self, old: str, new: str) -> Iterator[Substitution]:
        """Yield the replacements of all occurrences of `old` by `new`, in ascending order.

        A part that `new` leaves as it is, at the beginning or the end of an occurrence, is not replaced.
        """
        if old != new and _ANY.sub("\n", old) == _ANY.sub("\n", new):
            literal = list(self._replaced(_whole(self._text, old), lambda segment, nearest: new))
        elif _LONE_CR.search(old):
            literal = list(self._replaced(_occurrences(self._text, old), partial(_fitted, new)))
        else:
            literal = []
        yield from literal or self._replaced(self._places(old), partial(_fitted, new))

    def _places(self, old: str) -> Iterator[tuple[int, int]]:
        """Yield the occurrences of a text with any line ends."""
        if len(self._kinds) <= 1 or not _ANY.search(old):
            yield from _occurrences(self._text, _ANY.sub("".join(self._kinds) or "\n", old))
            return
        # positions in the text with one character for each line end, of those that have two
        longer = array("q", (match.start() - index for index, match in enumerate(re.finditer("\r\n", self._text))))
        for start, end in _occurrences(_ANY.sub("\n", self._text), _ANY.sub("\n", old)):
            yield start + bisect_left(longer, start), end + bisect_left(longer, end)

    def _replaced(self, places: Iterator[tuple[int, int]], fitted: Callable[[str, str], str]) -> Iterator[Substitution]:
        """Yield the replacements; `fitted` returns one for a part of the text and the line end nearest to it."""
        known: dict[tuple[str, str], Substitution] = {}
        for start, end in places:
            segment, nearest = self._text[start:end], self._nearest(start, end)
            one = known.get((segment, nearest))
            if one is None:
                one = known[segment, nearest] = _trimmed(segment, fitted(segment, nearest))
            yield Substitution(start + one.start, start + one.end, one.new, start)

    def _nearest(self, start: int, end: int) -> str:
        """Return the line end after a part of the text, or the last one before it; empty if there is none.

        The parts of successive calls are in ascending order.
        """
        if len(self._kinds) <= 1:
            return "".join(self._kinds)
        if not self._has_searched or (self._next is not None and self._next.start() < end):
            self._next = _ANY.search(self._text, end)
            self._has_searched = True
        if self._next is not None:
            return self._next[0]
        before = max(self._text.rfind("\n", 0, start), self._text.rfind("\r", 0, start))
        return "\r\n" if self._text[before - 1 : before + 1] == "\r\n" else self._text[before]


def with_line_end_of(before: str, text: str) -> str:
    """Return a text with the last line end of the text before it; unchanged if that has none."""
    found = max(before.rfind("\n"), before.rfind("\r"))
    if found < 0:
        return text
    is_pair = before[max(found - 1, 0) : found + 1] == "\r\n"
    return _fitted(text, "", "\r\n" if is_pair else before[found])


def _kinds_in(text: str) -> list[str]:
    """Return the line ends that a text has."""
    if "\r" not in text:  # a hundred times as fast as counting
        return ["\n"] if "\n" in text else []
    crlf = text.count("\r\n")
    numbers = {"\r\n": crlf, "\n": text.count("\n") - crlf, "\r": text.count("\r") - crlf}
    return [end for end, number in numbers.items() if number]


def _occurrences(text: str, part: str) -> Iterator[tuple[int, int]]:
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        yield start, end
        start = text.find(part, end)


def _whole(text: str, part: str) -> Iterator[tuple[int, int]]:
    """Yield the occurrences that neither begin nor end within a CRLF."""
    for start, end in _occurrences(text, part):
        if "\r\n" not in (text[max(start - 1, 0) : start + 1], text[end - 1 : end + 1]):
            yield start, end


def _fitted(new: str, replaced: str, nearest: str) -> str:
    """Return the new text with the line ends of the lines that it replaces, or else with the nearest one."""
    ends = _ANY.findall(replaced)
    if "\n" not in new or not nearest:
        return new
    if len(set(ends)) <= 1:
        return _GIVEN.sub(ends[0] if ends else nearest, new)
    return _aligned(new, _ANY.split(replaced), ends)


def _aligned(new: str, old_lines: Sequence[str], ends: Sequence[str]) -> str:
    """Return the new text with the line ends of the lines that it keeps; other lines have that of the line before."""
    lines = _GIVEN.split(new)
    if len(lines) == len(old_lines):
        return "".join(f"{line}{end}" for line, end in zip(lines, [*ends, ""], strict=True))
    written = []
    current = 0
    for line, index in zip(lines[:-1], _kept_lines(old_lines[:-1], lines[:-1]), strict=True):
        current = current if index is None else index
        written.append(f"{line}{ends[current]}")
    return "".join(written) + lines[-1]


def _kept_lines(old: Sequence[str], new: Sequence[str]) -> list[int | None]:
    """Return, for each new line, the index of the old line that it keeps, in ascending order."""
    most = min(len(old), len(new))
    first = next((index for index in range(most) if old[index] != new[index]), most)
    most -= first
    last = next((index for index in range(most) if old[-1 - index] != new[-1 - index]), most)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for index in range(first, len(old) - last):
        places[old[index]].append(index)
    kept: list[int | None] = list(range(first))
    after = first
    for line in new[first : len(new) - last]:
        found = places.get(line, [])
        place = bisect_left(found, after)
        kept.append(found[place] if place < len(found) else None)
        after = after if kept[-1] is None else kept[-1] + 1
    return [*kept, *range(len(old) - last, len(old))]


def _trimmed(old: str, new: str) -> Substitution:
    """Return the replacement of a text at 0, without the equal characters at both ends of the two texts."""
    first = _shared(old, new)
    last = _shared(old[first:][::-1], new[first:][::-1])
    return Substitution(first, len(old) - last, new[first : len(new) - last], 0)


def _shared(one: str, other: str) -> int:
    """Return the number of equal characters at the beginning of two texts."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
