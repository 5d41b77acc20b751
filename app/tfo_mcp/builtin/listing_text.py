"""Entries and matching lines as text: one line per entry, and matching lines under the path of their file.

Owns the form of the text, and how many results fit into a size. Must not know how files are found.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from tfo_mcp.plugins import FileEntry, Match

HEADING = "size modified path"


def entry_lines(entries: Iterable[FileEntry]) -> list[str]:
    """Return a line per entry: size or type, modification time, path."""
    return [_entry_line(*entry) for entry in entries]


def match_lines(matches: Sequence[Match]) -> list[str]:
    """Return a text per match: its context with line numbers, and the path if the previous match has another one.

    A matching line has a colon after its number, a line of context a hyphen. A column follows the number if the line
    does not start at its beginning.
    """
    paths = [None, *(match.path for match in matches)]
    return [_match_text(match, match.path != previous) for match, previous in zip(matches, paths, strict=False)]


def fitting(texts: Iterable[str], most_bytes: int) -> int:
    """Return how many of the first texts, each with a line end, fit into a number of bytes; at least one."""
    left, number = most_bytes, 0
    for text in texts:
        left -= 1 + (len(text) if text.isascii() else len(text.encode(errors="surrogatepass")))
        if left < 0 and number:
            break
        number += 1
    return number


@lru_cache(maxsize=4096)
def timestamp(seconds: int) -> str | None:
    """Return a time as ISO 8601, None if it is out of range. Cached: files of one tree often share times."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None


def _entry_line(path: str, kind: str, size: int | None, modified: float | None, uri: str | None) -> str:
    time = None if modified is None else timestamp(int(modified))
    slash = "/" if kind == "directory" else ""
    return f"{kind if size is None else size} {time or '-'} {path}{slash}{_address(uri)}"


def _match_text(match: Match, is_first_of_file: bool) -> str:
    lines = [f"{match.path}{_address(match.uri)}"] if is_first_of_file else []
    lines += (f"{number}- {text}" for number, text in enumerate(match.before, match.line - len(match.before)))
    column = f":{match.column}" if match.column > 1 else ""
    lines.append(f"{match.line}{column}: {match.text}")
    lines += (f"{number}- {text}" for number, text in enumerate(match.after, match.line + 1))
    return "\n".join(lines)


def _address(uri: str | None) -> str:
    return "" if uri is None else f" <{uri}>"
