"""Values that others have written, as telemetry may carry them: valid Unicode, and not longer than is of use.

One that protobuf cannot carry would take the whole batch along with it.
"""

_LONGEST = 16 * 1024


def sanitized(text: str, longest: int = _LONGEST) -> str:
    """Return a text so that it can be sent; what cannot be encoded becomes a question mark."""
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()
