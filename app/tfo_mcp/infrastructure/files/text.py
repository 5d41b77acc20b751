"""Reads lines of text files in chunks, so that the limit bounds the text in memory.

Owns decoding, line counting and truncation. A line ends with a newline; a carriage return before it belongs to the
line. Must not know paths: errors speak of "the file", and the caller prefixes its name.
"""

import codecs
from collections import deque
from collections.abc import Callable, Iterator

from tfo_mcp.application.ports import Lines, TextPart
from tfo_mcp.domain.errors import NotText, OperationFailed
from tfo_mcp.domain.text_codec import MARK_BYTES, BinaryData, TextEncoding, encoding_of
from tfo_mcp.infrastructure.files.progress import Report

Read = Callable[[int, int], bytes]
"""Returns at most `size` bytes of a file at a position; the arguments are size and position."""

_CHUNK = 256 * 1024
_CONTINUATION = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that do not begin a character
_CHARACTER_BYTES = 4  # of the longest character in the encodings below
_READ_FROM_END = {  # least bytes of a character; it can be recognized without the text before it
    **dict.fromkeys(("ascii", "iso8859-1", "utf-8"), 1),
    **dict.fromkeys(("utf-16-le", "utf-16-be"), 2),
    **dict.fromkeys(("utf-32-le", "utf-32-be"), 4),
}


def read_lines(read: Read, size: int, encoding: str, lines: Lines, limit: int, report: Report) -> TextPart:
    """Return lines of a file.

    Args:
        read: reads the file.
        size: the file's size in bytes, as far as known.
        encoding: name of a Python codec; the byte-order mark of the file outranks it.
        limit: maximum bytes of the returned text, in UTF-8. At least one character is returned.

    Raises:
        NotText: the file is not text in this encoding.
        OperationFailed: the first line has fewer characters than `lines.column`.
    """
    form = encoding_of(read(MARK_BYTES, 0), encoding)
    try:
        if lines.last is not None:
            return _last_lines(read, size, form, lines.last, limit, report)
        chunks = _decoded(read, form, size, report)
        if lines.first > 1:
            chunks = _without_lines(chunks, lines.first - 1)
        if lines.column > 1:
            chunks = _without_characters(chunks, lines)
        return _limited(chunks, lines, limit)
    except UnicodeError as problem:
        raise _not_text(form, problem) from None


def whole_text(data: bytes, encoding: str, limit: int) -> TextPart:
    """Return the whole text of a file, truncated to the limit as in `read_lines`.

    Raises:
        NotText: the data is not text in this encoding.
    """
    form = encoding_of(data[:MARK_BYTES], encoding)
    try:
        return _cut(form.decode_whole_text(data), Lines(), limit, more=False)
    except UnicodeError as problem:
        raise _not_text(form, problem) from None


def _not_text(form: TextEncoding, problem: UnicodeError) -> NotText:
    if isinstance(problem, BinaryData):
        return NotText("this is a binary file")
    return NotText(f"this is not {form.label} text; if it is text in another encoding, name it")


def _decoded(read: Read, form: TextEncoding, size: int, report: Report) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(form.codec)("strict")
    position = len(form.mark)
    while chunk := read(_CHUNK, position):
        position += len(chunk)
        report.tick(position, max(size, position))
        yield form.decode_text(chunk, decoder.decode)
    yield decoder.decode(b"", final=True)


def _without_lines(chunks: Iterator[str], lines: int) -> Iterator[str]:
    """Yield the text after a number of lines; nothing if there are not more."""
    for text in chunks:
        start, lines = _after_lines(text, lines)
        if start < len(text):
            yield text[start:]


def _without_characters(chunks: Iterator[str], lines: Lines) -> Iterator[str]:
    """Yield the text from a column of its first line; nothing if there is no text.

    Raises:
        OperationFailed: the line ends before this column.
    """
    passed, before = 0, lines.column - 1
    is_reached = False
    for text in chunks:
        start = 0
        if passed < before:
            newline = text.find("\n", 0, before - passed)
            start = newline + 1 if newline >= 0 else min(len(text), before - passed)
            passed += start
            if newline >= 0:
                break
        if start < len(text):
            is_reached = True
            yield text[start:]
    if passed and not is_reached:
        raise OperationFailed(f"line {lines.first} has only {passed} characters")


def _limited(chunks: Iterator[str], lines: Lines, limit: int) -> TextPart:
    """Return up to `lines.count` lines, truncated to the limit."""
    wanted = lines.count
    taken: list[str] = []
    length = 0
    more = False
    for text in chunks:
        piece = text
        if wanted is not None:
            end, wanted = _after_lines(text, wanted)
            more = end < len(text)
            piece = text[:end]
        taken.append(piece)
        length += len(piece)
        if wanted == 0 or length > limit:
            more = more or any(chunks)
            break
    return _cut("".join(taken), lines, limit, more=more)


def _after_lines(text: str, lines: int) -> tuple[int, int]:
    """Return the position after the first `lines` lines of a text, and how many of these lines the text lacks."""
    found = text.count("\n")
    if found < lines:
        return len(text), lines - found
    position = 0
    for _ in range(lines):
        position = text.index("\n", position) + 1
    return position, 0


def _last_lines(read: Read, size: int, form: TextEncoding, wanted: int, limit: int, report: Report) -> TextPart:
    characters = limit + _CHARACTER_BYTES  # the limit is in bytes of UTF-8, of which a character has at least one
    start = max(0, size - characters * _READ_FROM_END.get(form.codec, 1)) & -_CHARACTER_BYTES
    if start == 0 or form.codec in _READ_FROM_END:
        text, is_whole = _text_from(read, size, start, form)
    else:
        text, is_whole = _end_of(_decoded(read, form, size, report), limit)
    lines = _split(text)
    if not is_whole and len(lines) > 1:
        lines = lines[1:]  # the first one is incomplete
        is_missing = len(lines) < wanted
    else:
        is_missing = not is_whole
    kept = "".join(lines[-wanted:] if wanted else [])
    part = _cut_front(kept, limit)
    return TextPart(part, None, _count(part), cut=is_missing or len(part) < len(kept), more=False)


def _text_from(read: Read, size: int, start: int, form: TextEncoding) -> tuple[str, bool]:
    """Return the text from the first character at or after a position, and whether this is the whole text."""
    if start:  # only to refuse binary data
        form.decode_text(read(_CHUNK, 0), lambda head: head.decode(form.codec, "replace"))
    position = start or len(form.mark)
    data = read(size - position, position)
    if start:
        data = _from_character(data, form.codec)
    return form.decode_text(data, lambda part: part.decode(form.codec)), start == 0


def _from_character(data: bytes, codec: str) -> bytes:
    """Return the data without the rest of a character that begins before it."""
    if codec == "utf-8":
        return data[:_CHARACTER_BYTES].lstrip(_CONTINUATION) + data[_CHARACTER_BYTES:]
    if codec.startswith("utf-16"):
        unit = int.from_bytes(data[:2], "little" if codec.endswith("le") else "big")
        return data[2:] if 0xDC00 <= unit < 0xE000 else data  # the second half of a surrogate pair
    return data


def _end_of(chunks: Iterator[str], characters: int) -> tuple[str, bool]:
    """Return at least this number of last characters, if there are as many, and whether this is the whole text."""
    kept: deque[str] = deque()
    length = 0
    is_whole = True
    for text in chunks:
        kept.append(text)
        length += len(text)
        while length - len(kept[0]) > characters:
            length -= len(kept.popleft())
            is_whole = False
    return "".join(kept), is_whole


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended


def _cut(text: str, lines: Lines, limit: int, *, more: bool) -> TextPart:
    """Truncate to the limit, at the end of a line if there is one."""
    if _fits(text, limit):
        return TextPart(text, lines.first, _count(text), cut=False, more=more, column=lines.column)
    kept = text.encode(errors="surrogatepass")[:limit].decode(errors="ignore") or text[0]
    end = kept.rfind("\n") + 1
    kept = kept[:end] if end else kept
    return TextPart(kept, lines.first, _count(kept), cut=True, more=True, column=lines.column)


def _cut_front(text: str, limit: int) -> str:
    if _fits(text, limit):
        return text
    kept = text.encode(errors="surrogatepass")[-limit:].decode(errors="ignore") or text[-1]
    return kept.partition("\n")[2] or kept


def _fits(text: str, limit: int) -> bool:
    """Return whether a text has at most `limit` bytes in UTF-8."""
    if _CHARACTER_BYTES * len(text) <= limit:
        return True
    return len(text) <= limit and (text.isascii() or len(text.encode(errors="surrogatepass")) <= limit)


def _count(text: str) -> int:
    return text.count("\n") + (bool(text) and not text.endswith("\n"))
