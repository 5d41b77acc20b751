"""Shortens and escapes text and values from clients, so that they are safe to echo, store and log.

Names from clients appear in errors, logs, spans and the audit log. Shortening keeps them from flooding a log, and
escaping keeps them from forging log lines.
"""

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

NAME_LIMIT = 200
"""Maximum characters of a client's text in an error, a log line, a span or an audit line."""

VALUE_LIMIT = 100
"""Maximum characters of a value from a client that an error repeats."""

_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # C0, DEL, C1, line separators, bidi
_CONTROL = re.compile(f"[{_CONTROLS}]")
SURROGATE = re.compile("[\ud800-\udfff]")
"""Matches half of a surrogate pair, which no encoding of Unicode can represent."""
_KINDS: Mapping[type, str] = {
    bool: "the boolean",
    dict: "the object",
    float: "the number",
    int: "the integer",
    list: "the array",
    str: "the string",
    tuple: "the array",
}


def shortened(text: str, limit: int = NAME_LIMIT) -> str:
    """Return the text truncated to `limit` characters; a truncated text ends with …."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def close_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name resembles most, None if it resembles none.

    A name of more than `NAME_LIMIT` characters resembles none: the comparison of 4 MB takes half a second and 170 MB.
    """
    if len(name) > NAME_LIMIT:
        return None
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def escaped(text: str) -> str:
    """Return the text with control characters, line separators and bidirectional controls escaped as `\\uXXXX`.

    These are JSON escapes, so JSON text keeps its value.
    """
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def sanitized(text: str, limit: int = NAME_LIMIT) -> str:
    """Return the text for logs and the audit log: shortened and escaped."""
    if len(text) <= limit and text.isprintable():
        return text
    return escaped(shortened(text, limit))


def label(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a name to store: without control characters, and shortened."""
    return shortened(text if text.isprintable() else _CONTROL.sub("", text[: 2 * limit]), limit)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=lambda value: shortened(str(value), VALUE_LIMIT))


def json_of(value: object, limit: int = VALUE_LIMIT) -> str:
    """Return a value as JSON on one line, escaped and truncated to `limit` characters; a truncated one ends with …."""
    if isinstance(value, str):
        return _one_line(_ENCODER.encode(value[: limit + 1]), limit)
    written = ""
    for chunk in _ENCODER.iterencode(_trimmed(value, limit)):
        written += chunk
        if len(written) > limit:
            break
    return _one_line(written, limit)


def described(value: object) -> str:
    """Return a value with its JSON type, such as `the string "2"`; long values are truncated."""
    shown = json_of(value)
    if isinstance(value, str) and shown.endswith("…"):
        return f"{_KINDS[str]} {shown} of {len(value)} characters"
    return f"{_KINDS[type(value)]} {shown}" if type(value) in _KINDS else shown


def _trimmed(value: object, limit: int) -> object:
    """Return the value with its long strings cut at every level that the limit lets through."""
    if isinstance(value, str):
        return value[: limit + 1]
    if isinstance(value, Mapping):
        return {str(key)[: limit + 1]: _trimmed(child, limit) for key, child in islice(value.items(), limit)}
    if isinstance(value, list | tuple):
        return [_trimmed(child, limit) for child in value[:limit]]
    return value


def _one_line(text: str, limit: int) -> str:
    return escaped(shortened(text, limit).encode(errors="backslashreplace").decode())


def with_whole_characters(value: Any) -> Any:
    """Return a JSON value in which halves of surrogate pairs are U+FFFD."""
    if isinstance(value, str):
        return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [with_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {with_whole_characters(name): with_whole_characters(item) for name, item in value.items()}
    return value
