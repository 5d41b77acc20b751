"""Text from outside: shortened, and made safe to show.

Whatever a client names is echoed in errors and written to logs, spans and the audit log. What is echoed or kept is
shortened here, and what is shown is escaped here, so that no name fills a log or forges a line of it.
"""

import re

NAME_LIMIT = 200
"""Maximum characters of a client's text in an error, a log line, a span or an audit line."""

_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # C0, DEL, C1, line separators, bidi
_CONTROL = re.compile(f"[{_CONTROLS}]")


def shortened(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a text of at most `limit` characters; a mark shows where it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def escaped(text: str) -> str:
    """Return a text with control characters, line separators and bidirectional controls as `\\uXXXX`.

    The escapes are those of JSON, so JSON text stays the same value.
    """
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def sanitized(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a text as logs and the audit log show it: shortened and escaped."""
    if len(text) <= limit and text.isprintable():
        return text
    return escaped(shortened(text, limit))


def label(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a name without control characters, shortened, to be kept."""
    return shortened(text if text.isprintable() else _CONTROL.sub("", text[: 2 * limit]), limit)
