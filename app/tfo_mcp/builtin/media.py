"""MIME types of files, guessed from the name and restricted to types that fit the contents (text or binary)."""

import mimetypes
from functools import cache

_TEXT_TYPES = frozenset(
    {"application/javascript", "application/json", "application/sql", "application/toml", "application/xml"}
    | {"application/x-sh", "application/yaml", "image/svg+xml"}
)
_NEWER_TYPES = {  # missing in some of the supported Python versions
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".toml": "application/toml",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_PLAIN = "text/plain"
_BINARY = "application/octet-stream"


def text_type(path: str) -> str:
    """Return the MIME type of a text file; text/plain if the name suggests none or a binary type."""
    guess = _guess(path)
    return guess if guess is not None and _is_text(guess) else _PLAIN


def binary_type(path: str) -> str:
    """Return the MIME type of a binary file; application/octet-stream if the name suggests none or a text type."""
    guess = _guess(path)
    return _BINARY if guess is None or _is_text(guess) else guess


def _guess(path: str) -> str | None:
    return _types().guess_type(path)[0]


@cache
def _types() -> mimetypes.MimeTypes:
    """Return Python's built-in table. The system's tables are not read, as results would differ between machines."""
    types = mimetypes.MimeTypes()
    for ending, mime_type in _NEWER_TYPES.items():
        types.add_type(mime_type, ending)
    return types


def _is_text(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES
