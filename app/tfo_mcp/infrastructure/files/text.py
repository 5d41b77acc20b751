"""Reads lines of text files in chunks, so that the limit bounds the text in memory.

Owns decoding, line counting and truncation. A line ends with a newline; a carriage return before it belongs to the
line. Must not know paths: errors speak of "the file", and the caller prefixes its name.
"""

import codecs
from collections.abc import Callable, Iterator

from tfo_mcp.application.ports import Lines, TextPart
from tfo_mcp.domain.errors import FileTooLarge, NotText
from tfo_mcp.infrastructure.files.progress import Report

Read = Callable[[int, int], bytes]
"""Returns at most `size` bytes of a file at a position; the arguments are size and position."""

_CHUNK = 256 * 1024
_WIDE = ("utf-16", "utf-32")  # NUL bytes are normal in these
_STATEFUL = ("iso2022", "hz")  # the meaning of a byte depends on all bytes before it
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_lines(read: Read, size: int, encoding: str, lines: Lines, limit: int, report: Report) -> TextPart:
    """Return lines of a file.

    Args:
        read: reads the file.
        size: the file's size in bytes, as far as known.
        encoding: name of a Python codec.
        limit: maximum bytes of the returned text, in UTF-8.

    Raises:
        NotText: the file is not text in this encoding.
        FileTooLarge: the encoding cannot be read from the end, and the file is over the limit.
    """
    try:
        if lines.last is not None:
            return _last_lines(read, size, encoding, lines.last, limit)
        return _lines_from(_decoded(read, encoding, size, report), lines.first, lines.count, limit)
    except UnicodeError:  # codecs with a byte-order mark do not always raise UnicodeDecodeError
        raise _not_text(encoding) from None


def whole_text(data: bytes, encoding: str, limit: int) -> TextPart:
    """Return the whole text of a file, truncated to the limit as in `read_lines`.

    Raises:
        NotText: the data is not text in this encoding.
    """
    _refuse_binary(data, encoding)
    try:
        return _cut(data.decode(encoding), 1, limit, more=False)
    except UnicodeError:
        raise _not_text(encoding) from None


def _not_text(encoding: str) -> NotText:
    return NotText(f"this is not {encoding} text; if it is text in another encoding, name it")


def _decoded(read: Read, encoding: str, size: int, report: Report) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    position = 0
    while chunk := read(_CHUNK, position):
        _refuse_binary(chunk, encoding)
        position += len(chunk)
        report.tick(position, max(size, position))
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _refuse_binary(data: bytes, encoding: str) -> None:
    if b"\0" in data and not encoding.startswith(_WIDE):
        raise NotText("this is a binary file")


def _lines_from(chunks: Iterator[str], first: int, count: int | None, limit: int) -> TextPart:
    """Skip to line `first`, then return up to `count` lines, truncated to the limit."""
    to_skip, wanted = first - 1, count
    taken: list[str] = []
    length = 0
    more = False
    for text in chunks:
        start, to_skip = _after_lines(text, to_skip)
        if start == len(text) and (to_skip or not text):
            continue
        piece = text[start:]
        if wanted is not None:
            end, wanted = _after_lines(piece, wanted)
            more = end < len(piece)
            piece = piece[:end]
        taken.append(piece)
        length += len(piece)
        if wanted == 0 or length > limit:
            more = more or any(chunks)
            break
    return _cut("".join(taken), first, limit, more=more)


def _after_lines(text: str, lines: int) -> tuple[int, int]:
    """Return the position after the first `lines` lines of a text, and how many of these lines the text lacks."""
    found = text.count("\n")
    if found < lines:
        return len(text), lines - found
    position = 0
    for _ in range(lines):
        position = text.index("\n", position) + 1
    return position, 0


def _last_lines(read: Read, size: int, encoding: str, wanted: int, limit: int) -> TextPart:
    start = max(0, size - limit - 4) & ~3
    if start and encoding.replace("_", "").startswith(_STATEFUL):
        raise FileTooLarge(
            f"the file is over the limit of {limit} bytes, and {encoding} is only read from its beginning"
        )
    data = read(size - start, start)
    head = read(_CHUNK, 0)
    _refuse_binary(data, encoding)
    _refuse_binary(head, encoding)
    if start == 0:
        text = data.decode(encoding)
    else:
        # the first character may be incomplete; its line is dropped
        text = data.decode(_with_byte_order(head, encoding), "replace").partition("\n")[2]
    lines = _split(text)
    kept = "".join(lines[-wanted:] if wanted else [])
    part = _cut_front(kept, limit)
    cut = (start > 0 and len(lines) < wanted) or len(part) < len(kept)
    return TextPart(part, None, _count(part), cut=cut, more=False)


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended


def _with_byte_order(head: bytes, encoding: str) -> str:
    """Return the encoding with the byte order of the file's byte-order mark, if the encoding does not specify one."""
    if not encoding.startswith(_WIDE):
        return encoding
    return next((name for bom, name in _BOMS if head.startswith(bom) and name.startswith(encoding)), encoding)


def _cut(text: str, first: int, limit: int, *, more: bool) -> TextPart:
    """Truncate to the limit, at the end of a line if there is one."""
    if 4 * len(text) <= limit or len(data := text.encode(errors="surrogatepass")) <= limit:
        return TextPart(text, first, _count(text), cut=False, more=more)
    kept = data[:limit].decode(errors="ignore")
    end = kept.rfind("\n") + 1
    kept = kept[:end] if end else kept
    return TextPart(kept, first, _count(kept), cut=True, more=True)


def _cut_front(text: str, limit: int) -> str:
    data = text.encode(errors="surrogatepass")
    if len(data) <= limit:
        return text
    kept = data[-limit:].decode(errors="ignore")
    return kept.partition("\n")[2] or kept


def _count(text: str) -> int:
    return text.count("\n") + (bool(text) and not text.endswith("\n"))
