"""Edits of a TOML document that keep its comments and its layout: only the lines of the changed entry differ.

tomllib reads the values, and a scanner of statements gives their places. Comments and blank lines that follow an entry
are not part of it: they belong to the next table.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfo_mcp.value_objects import value_object
from tfo_mcp_transports.cli.hosts.locations import HostFileError

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}=\n]",
    re.DOTALL,
)
"""Texts, comments, and the characters that decide where a statement ends."""
_BLANK_LINE_BEFORE = re.compile(r"(?:\A|(?<=\n))[ \t]*\r?\n\Z")
_BLANK_LINE = re.compile(r"[ \t]*(?:\r?\n|\Z)")


@value_object
class _Statement:
    """A table header or a key with its value: its place, its path from the root, and whether it is a header."""

    start: int
    end: int
    path: Sequence[str]
    is_header: bool


def value(text: str, keys: Sequence[str]) -> object:
    """Return the value at a path of keys, None if there is none.

    Raises:
        HostFileError: the text is not TOML, or the path leads through something else than tables.
    """
    found: object = _parsed(text)
    for key in keys:
        if found is None:
            return None
        if not isinstance(found, dict):
            raise HostFileError(f'"{keys[0]}" is not a table')
        found = found.get(key)
    return found


def put(text: str, keys: Sequence[str], entry: Mapping[str, Any]) -> str:
    """Return the document with the entry as a table at the path: where it was, else at the end.

    Raises:
        HostFileError: the text is not TOML, or the path leads through something else than tables of their own.
    """
    value(text, keys)
    line_end = "\r\n" if "\r\n" in text else "\n"
    table = _rendered(keys, entry).replace("\n", line_end)
    blocks = _blocks(text, keys)
    if blocks and blocks[0].is_header:  # what follows is a header as well, or the end
        first = blocks.pop(0)
        for block in reversed(blocks):
            text = _without(text, block)
        return text[: first.start] + table + text[first.end :]
    for block in reversed(blocks):
        text = _without(text, block)
    if text:
        text += line_end if text.endswith("\n") else 2 * line_end
    return text + table


def remove(text: str, keys: Sequence[str]) -> str:
    """Return the document without the value at the path, and without the blank line that `put` adds.

    Raises:
        HostFileError: the text is not TOML, or the value is in an inline table.
    """
    for block in reversed(_blocks(text, keys)):
        text = _without(text, block)
    return text


def _rendered(keys: Sequence[str], entry: Mapping[str, Any]) -> str:
    import tomlkit

    document: Mapping[str, Any] = dict(entry)
    for key in reversed(keys):
        document = {key: document}
    return tomlkit.dumps(document).strip() + "\n"


def _without(text: str, block: _Statement) -> str:
    """Return the text without a block, and without the blank line before it if one follows, or the end."""
    before, after = text[: block.start], text[block.end :]
    if _BLANK_LINE.match(after):
        before = _BLANK_LINE_BEFORE.sub("", before)
    return before + after


def _blocks(text: str, keys: Sequence[str]) -> list[_Statement]:
    """Return the places of the value at a path, in order; successive statements are one.

    Raises:
        HostFileError: the text is not TOML, or the path leads into an inline table.
    """
    _parsed(text)
    wanted, blocks, continues = tuple(keys), list[_Statement](), False
    for statement in _statements(text):
        path = tuple(statement.path)
        if not statement.is_header and len(path) < len(wanted) and path == wanted[: len(path)]:
            raise HostFileError(f'"{keys[0]}" is an inline table')
        belongs = path[: len(wanted)] == wanted
        if belongs and continues:
            blocks[-1] = _Statement(blocks[-1].start, statement.end, keys, blocks[-1].is_header)
        elif belongs:
            blocks.append(statement)
        continues = belongs
    return blocks


def _statements(text: str) -> Iterator[_Statement]:
    """Yield the statements of a valid document."""
    table: Sequence[str] = ()
    for start, end, equals in _logical_lines(text):
        if equals is not None:
            yield _Statement(start, end, [*table, *_path(f"{text[start:equals]}= 0")], is_header=False)
        elif text[start:end].lstrip().startswith("["):
            table = _path(text[start:end])
            yield _Statement(start, end, table, is_header=True)


def _logical_lines(text: str) -> Iterator[tuple[int, int, int | None]]:
    """Yield the start and the end of each line, and the place of its equals sign; a value can have several lines."""
    start, depth, equals = 0, 0, None
    for token in _TOKEN.finditer(f"{text}\n"):
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "=" if depth == 0 and equals is None:
                equals = token.start()
            case "\n" if depth == 0:
                yield start, min(token.end(), len(text)), equals
                start, equals = token.end(), None


def _path(statement: str) -> Sequence[str]:
    """Return the keys of a statement that has nothing but them."""
    path: list[str] = []
    found: object = tomllib.loads(statement)
    while found and isinstance(found, dict | list):
        if isinstance(found, list):
            (found,) = found
        else:
            ((key, found),) = found.items()
            path.append(key)
    return path


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise HostFileError("the file is not TOML (its values are nested too deeply)") from None
    except ValueError as problem:
        raise HostFileError(f"the file is not TOML ({problem})") from None
