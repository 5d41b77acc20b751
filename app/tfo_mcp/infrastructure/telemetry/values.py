"""Sanitizes untrusted text for telemetry: valid Unicode of limited length.

A single value that protobuf cannot encode would lose the whole batch.
"""

_LONGEST = 16 * 1024


def sanitized(text: str, longest: int = _LONGEST) -> str:
    """Return the text truncated to `longest` characters, with a question mark for each character not encodable."""
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()
