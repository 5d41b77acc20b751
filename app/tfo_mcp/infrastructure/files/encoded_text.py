"""The bytes of a text file, and changes of its text that leave all other bytes as they are.

New text is encoded and put between the old bytes. In encodings in which characters have several spellings or depend on
the bytes before them, this is possible only at certain positions. The result is decoded again, so that a change that
an encoding cannot hold is refused. Must not know paths.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn, Protocol

from tfo_mcp.domain.errors import NotText, OperationFailed
from tfo_mcp.domain.text_codec import MARK_BYTES, encoding_of, unencodable
from tfo_mcp.infrastructure.files.text_edits import TextChange

_CHUNK = 256
_ONE_SPELLING = frozenset({"utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})


class _Position(NamedTuple):
    """A position at which an encoded text can be divided, in bytes after the mark and in characters."""

    byte: int
    character: int


class _Positions(Protocol):
    """Finds positions in an encoded text; those of later calls do not lie before those of earlier ones."""

    def around(self, change: TextChange, new: str) -> tuple[_Position, _Position]:
        """Return the closest positions around a change between which the encoded `new` can be put."""

    def after(self, character: int) -> _Position:
        """Return the first position at or after a character."""


class _Segment(NamedTuple):
    """A part of the encoded text, and the characters of the new text that replace it.

    `is_extended`: it has characters that do not change, since the text cannot be divided next to those that do.
    """

    start: _Position
    end: _Position
    new_start: int
    new_end: int
    is_extended: bool


class EncodedText:
    """A text file.

    Args:
        data: the contents of the file.
        encoding: name of a Python codec; the byte-order mark of the file outranks it.

    Raises:
        NotText: the file is not text in this encoding, or has the byte-order mark of another one.
    """

    def __init__(self, data: bytes, encoding: str) -> None:
        self._encoding = encoding_of(data[:MARK_BYTES], encoding)
        marked = encoding_of(data[:MARK_BYTES], "utf-8")
        if marked.is_wide and not self._encoding.is_wide:
            raise NotText(f"the file begins with the byte-order mark of {marked.codec}: edit it in that encoding")
        self._data = data[len(self._encoding.mark) :]
        try:
            self.text = self._encoding.decode(data)
        except UnicodeError:
            raise NotText(f"this is not {self._encoding.label} text") from None

    def replaced(self, text: str, changes: Iterable[TextChange], tick: Callable[[], None]) -> bytes:
        """Return the contents of the file with a new text.

        Args:
            text: the new text.
            changes: its differences from the old text, in ascending order.
            tick: called regularly; it may raise to stop the work.

        Raises:
            OperationFailed: the encoding does not have a new character, or other bytes would have to change.
        """
        differences = list(changes)
        for positions in self._positions(tick):
            data = self._spliced(text, differences, positions)
            if data is not None:
                return data
        missing = unencodable("".join(text[one.new_start : one.new_end] for one in differences), self._encoding.codec)
        raise OperationFailed(f"{self._encoding.name} cannot encode some of the new text: {missing}")

    def _spliced(self, text: str, changes: Sequence[TextChange], positions: _Positions) -> bytes | None:
        """Return the new contents, None if they cannot be encoded or would be decoded to another text."""
        pieces = [self._encoding.mark]
        kept = 0
        try:
            for segment in self._segments(text, changes, positions):
                self._require_same(segment)
                new = text[segment.new_start : segment.new_end].encode(self._encoding.codec)
                pieces += [self._data[kept : segment.start.byte], new]
                kept = segment.end.byte
            data = b"".join([*pieces, self._data[kept:]])
            return data if self._encoding.decode(data) == text else None
        except UnicodeError:
            return None

    def _segments(self, text: str, changes: Sequence[TextChange], positions: _Positions) -> Iterator[_Segment]:
        """Yield the changes, extended to positions at which the text can be divided, and merged where they overlap."""
        last: _Segment | None = None
        for change in changes:
            if last is not None and change.old_start < last.end.character:
                end = last.end if change.old_end <= last.end.character else positions.after(change.old_end)
                new_end = change.new_end + end.character - change.old_end
                last = _Segment(last.start, end, last.new_start, new_end, is_extended=True)
                continue
            start, end = positions.around(change, text[change.new_start : change.new_end])
            if last is not None:
                if start.byte < last.end.byte:
                    self._refuse()
                yield last
            before, after = change.old_start - start.character, end.character - change.old_end
            last = _Segment(
                start, end, change.new_start - before, change.new_end + after, is_extended=before + after > 0
            )
        if last is not None:
            yield last

    def _positions(self, tick: Callable[[], None]) -> Iterator[_Positions]:
        """Yield ways to find positions, the fastest first; a way that does not fit the text yields another text."""
        codec = self._encoding.codec
        if codec in _ONE_SPELLING:
            yield _Counted(self.text, lambda part: len(part.encode(codec)))
            return
        if len(self.text) == len(self._data):
            yield _Counted(self.text, len)
        yield _Decoded(self._data, len(self.text), codec, tick)

    def _require_same(self, segment: _Segment) -> None:
        """Check that the unchanged characters of a segment keep their bytes when they are encoded again."""
        if segment.is_extended:
            old = self.text[segment.start.character : segment.end.character]
            if old.encode(self._encoding.codec) != self._data[segment.start.byte : segment.end.byte]:
                self._refuse()

    def _refuse(self) -> NoReturn:
        raise OperationFailed(
            f"in {self._encoding.name}, this edit would change bytes of the text around it; to change the encoding of "
            "the whole file, use write_file"
        )


class _Counted:
    """Positions in an encoding in which every character can be counted by itself.

    Args:
        text: the decoded text.
        size: returns the number of bytes of a part of the text.
    """

    def __init__(self, text: str, size: Callable[[str], int]) -> None:
        self._text = text
        self._size = size
        self._last = _Position(0, 0)

    def around(self, change: TextChange, new: str) -> tuple[_Position, _Position]:
        """Return the positions of both ends of a change."""
        return self.after(change.old_start), self.after(change.old_end)

    def after(self, character: int) -> _Position:
        """Return the position of a character."""
        size = self._size(self._text[self._last.character : character])
        self._last = _Position(self._last.byte + size, character)
        return self._last


class _Step(NamedTuple):
    """A position in the encoded text, and the state that a decoder has there."""

    position: _Position
    state: tuple[bytes, int]


class _Decoded:
    """Positions in any encoding, found by decoding.

    The closest positions around a change serve if a decoder reads the new bytes there as the new text, and is then in
    the same state as before. Otherwise the positions are those at which it has the state of the beginning.

    Args:
        data: the encoded text.
        characters: its number of characters.
        codec: name of its Python codec.
        tick: called regularly; it may raise to stop the work.
    """

    def __init__(self, data: bytes, characters: int, codec: str, tick: Callable[[], None]) -> None:
        self._data = data
        self._end = _Position(len(data), characters)
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec)
        self._tick = tick
        self._initial = self._decoder().getstate()
        self._closest = self._divisible = _Step(_Position(0, 0), self._initial)

    def around(self, change: TextChange, new: str) -> tuple[_Position, _Position]:
        """Return the closest positions around a change between which the encoded `new` can be put."""
        start, end = self._closest_around(change)
        is_exact = start.position.character == change.old_start and end.position.character == change.old_end
        if is_exact and self._fits(new, start, end):
            return start.position, end.position
        first = self._before(change.old_start)
        is_insertion = change.old_start == change.old_end == first.character
        return first, first if is_insertion else self.after(change.old_end)

    def after(self, character: int) -> _Position:
        """Return the first position at or after a character that has the state of the beginning."""
        self._divisible = self._skip(self._divisible, character - 1)
        for step in self._following(self._divisible):
            if step.state == self._initial:
                self._divisible = step
                if step.position.character >= character:
                    return step.position
        return self._end

    def _fits(self, new: str, start: _Step, end: _Step) -> bool:
        decoder = self._decoder()
        decoder.setstate(start.state)
        data = new.encode(self._codec)
        try:
            return decoder.decode(data) == new and decoder.getstate() == end.state
        except UnicodeDecodeError:
            return False

    def _before(self, character: int) -> _Position:
        """Return the last position at or before a character that has the state of the beginning."""
        self._divisible = self._skip(self._divisible, character)
        for step in self._following(self._divisible):
            if step.position.character > character:
                break
            if step.state == self._initial:
                self._divisible = step
        return self._divisible.position

    def _closest_around(self, change: TextChange) -> tuple[_Step, _Step]:
        """Return the last step before a change, and the first one after it."""
        start = self._skip(self._closest, change.old_start, any_state=True)
        end = None
        for step in self._following(start):
            if step.position.character <= change.old_start:
                start = step
            elif step.position.character >= change.old_end:
                end = step
                break
        if change.old_start == change.old_end == start.position.character:
            end = start
        self._closest = start
        return start, end or _Step(self._end, self._initial)

    def _skip(self, start: _Step, character: int, *, any_state: bool = False) -> _Step:
        """Return a step at or before a character, found in large steps; in the state of the beginning, or in any."""
        decoder = self._decoder()
        decoder.setstate(start.state)
        (byte, decoded), found = start.position, start
        while chunk := self._data[byte : byte + _CHUNK]:
            byte += len(chunk)
            decoded += len(decoder.decode(chunk))
            self._tick()
            if decoded > character:
                break
            state = decoder.getstate()
            if state == self._initial or (any_state and not state[0]):
                found = _Step(_Position(byte, decoded), state)
        return found

    def _following(self, start: _Step) -> Iterator[_Step]:
        """Yield the steps after a step, byte by byte, at which no character is incomplete."""
        decoder = self._decoder()
        decoder.setstate(start.state)
        byte, decoded = start.position
        while byte < len(self._data):
            decoded += len(decoder.decode(self._data[byte : byte + 1]))
            byte += 1
            state = decoder.getstate()
            if not state[0]:
                yield _Step(_Position(byte, decoded), state)
