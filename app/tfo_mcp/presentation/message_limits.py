"""Limits of one message, and checks of its raw bytes before parsing.

Each value in a message costs event-loop time in parsing, validation, hashing and error reporting. The number of values
is therefore limited, not only the number of bytes. The checks use fast bytes methods and ignore the contents of
strings, since a string full of commas is one value. Knows no method and no protocol revision.
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
BATCH_ANSWER_BYTES = 8 * 1024 * 1024
"""Maximum total bytes of the responses to one batch; below what one client may leave unread."""
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
"""Maximum total characters of these URIs."""

_DIGITS = b"0123456789"
_ALIKE = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))
_LONG_NUMBER = b"0" * (DIGITS_LIMIT + 1)
_MOST_QUOTES = 4 * VALUES_LIMIT + 4  # a member of an object has a name and perhaps a string: four quotes
_ENDS_BYTES = 4 * ID_LIMIT
_ID = rb'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)\s*'
_OTHERS = rb'"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"\s*'
_ID_AT_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\s*(?:" + _OTHERS + rb",\s*)*" + _ID + rb"[,}]")
_ID_AT_END = re.compile(rb"[,{]\s*" + _ID + rb"(?:,\s*" + _OTHERS + rb")*\}\s*\Z")


def excess(frame: bytes) -> str | None:
    """Return a message that names the limit that the frame exceeds, None if it may be parsed."""
    if len(frame) <= DIGITS_LIMIT:
        return None
    many = len(frame) > VALUES_LIMIT and _delimiters(frame) > VALUES_LIMIT
    if not many and _digits_excess(frame) is None:
        return None  # within the limits even if the contents of strings are counted
    plain = _without_strings(frame)
    if plain is None or _delimiters(plain) > VALUES_LIMIT:
        return f"More than {VALUES_LIMIT} values in one message"
    return _digits_excess(plain)


def id_at_ends(frame: bytes) -> bytes | None:
    """Return the JSON of a request's id if it can be found without parsing the message, otherwise None.

    The id is found only among the first or last members of the message, where clients write it.
    """
    found = _ID_AT_START.match(frame[:_ENDS_BYTES]) or _ID_AT_END.search(frame[-_ENDS_BYTES:])
    return found[1] if found is not None else None


def _delimiters(text: bytes) -> int:
    """Count the delimiters that precede values: an upper bound of the number of values, without the outermost."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _digits_excess(text: bytes) -> str | None:
    if _LONG_NUMBER in text.translate(_ALIKE):
        return f"A number has more than {DIGITS_LIMIT} digits"
    if len(text) > ALL_DIGITS_LIMIT and len(text) - len(text.translate(None, _DIGITS)) > ALL_DIGITS_LIMIT:
        return f"The numbers of one message have more than {ALL_DIGITS_LIMIT} digits"
    return None


def _without_strings(frame: bytes) -> bytes | None:
    """Return the frame without the contents of strings, None if it has more strings than allowed values."""
    bare = frame.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in frame else frame
    if bare.count(b'"') > _MOST_QUOTES:
        return None
    return b" ".join(bare.split(b'"')[::2])
