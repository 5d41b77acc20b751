"""What type a file has: by its name, as far as its contents agree."""

import mimetypes
from functools import cache

_TEXT_TYPES = frozenset(
    {"application/javascript", "application/json", "application/sql", "application/toml", "application/xml"}
    | {"application/x-sh", "application/yaml", "image/svg+xml"}
)
_NEWER_TYPES = {  # not known to every version of Python that is supported
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
    """Return the type of a file whose contents are text."""
    guess = _guess(path)
    return guess if guess is not None and _is_text(guess) else _PLAIN


def binary_type(path: str) -> str:
    """Return the type of a file whose contents are not text."""
    guess = _guess(path)
    return _BINARY if guess is None or _is_text(guess) else guess


def _guess(path: str) -> str | None:
    return _types().guess_type(path)[0]


@cache
def _types() -> mimetypes.MimeTypes:
    """Return the types that Python knows: with the machine's own tables, answers would differ between machines."""
    types = mimetypes.MimeTypes()
    for ending, mime_type in _NEWER_TYPES.items():
        types.add_type(mime_type, ending)
    return types


def _is_text(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type in _TEXT_TYPES
