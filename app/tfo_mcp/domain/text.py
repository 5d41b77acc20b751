"""Shortens and escapes text from clients, so that it is safe to echo, store and log.

Names from clients appear in errors, logs, spans and the audit log. Shortening keeps them from flooding a log, and
escaping keeps them from forging log lines.
"""

import re

NAME_LIMIT = 200
"""Maximum characters of a client's text in an error, a log line, a span or an audit line."""

_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # C0, DEL, C1, line separators, bidi
_CONTROL = re.compile(f"[{_CONTROLS}]")


def shortened(text: str, limit: int = NAME_LIMIT) -> str:
    """Return the text truncated to `limit` characters; a truncated text ends with …."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


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
