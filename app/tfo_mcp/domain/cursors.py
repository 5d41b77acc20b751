"""Cursors: opaque texts for the place in a list at which the next page begins."""

from base64 import b64decode, urlsafe_b64encode

_MARK = b"\x01"  # distinguishes cursors from other base64, and keeps the cursor of an empty place non-empty


def encode_cursor(place: bytes) -> str:
    """Return the cursor for a place."""
    return urlsafe_b64encode(_MARK + place).decode()


def decode_cursor(cursor: str) -> bytes | None:
    """Return the place that a cursor was made from, None if the text is no cursor."""
    try:
        raw = b64decode(cursor, altchars=b"-_", validate=True)
    except ValueError:
        return None
    return raw.removeprefix(_MARK) if raw.startswith(_MARK) else None
