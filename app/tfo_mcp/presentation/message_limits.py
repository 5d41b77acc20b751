"""Limits of one message, and the checks of its bytes before they are parsed.

Each value of a message costs the event loop time in every step that follows: parsing, validation, hashing, errors. So
the number of values is bounded, not only the number of bytes. The checks see bytes only and run at the speed of C;
text in strings does not count, since a file full of commas is one value. Knows no method and no revision.
"""

import re

VALUES_LIMIT = 10_000
"""Maximum values in one message: elements of arrays and members of objects, at all levels."""
DEPTH_LIMIT = 64
"""Maximum levels of nesting."""
DIGITS_LIMIT = 400
"""Maximum digits in a row in a number."""
ALL_DIGITS_LIMIT = 250_000
"""Maximum digits of all numbers together: long integers take long to convert."""
BATCH_LIMIT = 100
"""Maximum messages in one batch."""
BATCH_ANSWER_BYTES = 16 * 1024 * 1024
"""Maximum bytes of the answers of one batch."""
ID_LIMIT = 1000
"""Maximum characters of a request's id, and of a progress token."""
URI_LIMIT = 8192
"""Maximum characters of a resource's URI, and of the value that a completion is for."""
CURSOR_LIMIT = 2 * URI_LIMIT
"""Maximum characters of a cursor, which may name a URI in base64."""
RESPONSES_LIMIT = 100
"""Maximum answers to questions in one request (inputResponses)."""
SUBSCRIPTIONS_LIMIT = 1024
"""Maximum URIs in one subscriptions/listen."""
SUBSCRIPTIONS_CHARACTERS = 256 * 1024
"""Maximum characters of these URIs together."""

_DIGITS = b"0123456789"
_ALIKE = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))
_LONG_NUMBER = b"0" * (DIGITS_LIMIT + 1)
_MOST_QUOTES = 4 * VALUES_LIMIT + 4  # a member of an object has a name and perhaps a string: four quotes
_ENDS_BYTES = 4 * ID_LIMIT
_ID = rb'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)\s*'
_OTHERS = rb'"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"\s*'
_ID_AT_START = re.compile(rb"\s*\{\s*(?:" + _OTHERS + rb",\s*)*" + _ID + rb"[,}]")
_ID_AT_END = re.compile(rb"[,{]\s*" + _ID + rb"(?:,\s*" + _OTHERS + rb")*\}\s*\Z")


def excess(frame: bytes) -> str | None:
    """Return which limit the frame exceeds; None if it may be parsed."""
    if len(frame) <= DIGITS_LIMIT:
        return None
    many = len(frame) > VALUES_LIMIT and _delimiters(frame) > VALUES_LIMIT
    if not many and _digits_excess(frame) is None:
        return None  # not even with what stands in strings
    plain = _without_strings(frame)
    if plain is None or _delimiters(plain) > VALUES_LIMIT:
        return f"More than {VALUES_LIMIT} values in one message"
    return _digits_excess(plain)


def id_at_ends(frame: bytes) -> bytes | None:
    """Return the JSON of a request's id where it can be read without parsing.

    That is among the first members of the message or the last, where clients write it.
    """
    found = _ID_AT_START.match(frame[:_ENDS_BYTES]) or _ID_AT_END.search(frame[-_ENDS_BYTES:])
    return found[1] if found is not None else None


def _delimiters(text: bytes) -> int:
    """Count what values follow: an upper bound of their number, but for the outermost."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _digits_excess(text: bytes) -> str | None:
    if _LONG_NUMBER in text.translate(_ALIKE):
        return f"A number has more than {DIGITS_LIMIT} digits"
    if len(text) > ALL_DIGITS_LIMIT and len(text) - len(text.translate(None, _DIGITS)) > ALL_DIGITS_LIMIT:
        return f"The numbers of one message have more than {ALL_DIGITS_LIMIT} digits"
    return None


def _without_strings(frame: bytes) -> bytes | None:
    """Return what stands outside of strings; None if there are more strings than values are allowed."""
    bare = frame.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in frame else frame
    if bare.count(b'"') > _MOST_QUOTES:
        return None
    return b" ".join(bare.split(b'"')[::2])
