"""MIME types of files: of images, audio and some other binary data by their contents, of the rest by their name.

A name decides only between types that fit the contents: no image, audio or video is taken from the name.
"""

import mimetypes
from functools import cache

from tfo_mcp.plugins import recognized_type, text_of

BEGINNING_BYTES = 4096
"""The bytes of a file that its type is recognized by."""
_TEXT_TYPES = frozenset(
    {"application/javascript", "application/json", "application/sql", "application/toml", "application/xml"}
    | {"application/x-sh", "application/yaml", "image/svg+xml"}
)
_NEWER_TYPES = {  # missing in some of the supported Python versions
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_PLAIN = "text/plain"
UNKNOWN_TYPE = "application/octet-stream"
_VIDEO = "video/mp4"
_FEWEST_BYTES = 1000
_NOT_IN_TEXT = bytes(code for code in range(32) if chr(code) not in "\t\n\f\r\x1b")
_BY_CONTENTS = ("image/", "audio/", "video/", "application/pdf", "application/gzip")


def text_type(path: str) -> str:
    """Return the MIME type of a text file; text/plain if the name suggests none or a binary type."""
    guess = _guess(path)
    return guess if guess is not None and _is_text(guess) else _PLAIN


def binary_type(data: bytes, path: str) -> str:
    """Return the MIME type of a binary file; application/octet-stream if neither contents nor name show one.

    Args:
        data: the contents of the file, or its first `BEGINNING_BYTES`.
        path: path or URI of the file.
    """
    guess = _guess(path)
    found = recognized_type(data)
    if found == _VIDEO and guess == "audio/mp4":
        return guess  # both have the same signature
    if found is not None:
        return found
    return UNKNOWN_TYPE if guess is None or _is_text(guess) or guess.startswith(_BY_CONTENTS) else guess


def seems_text(data: bytes) -> bool:
    """Return whether more than a few bytes are text in some encoding: control characters are missing."""
    beginning = data[:BEGINNING_BYTES]
    return len(data) >= _FEWEST_BYTES and len(beginning.translate(None, _NOT_IN_TEXT)) == len(beginning)


def type_of(beginning: bytes, path: str) -> str:
    """Return the MIME type of a file with these first bytes, at most `BEGINNING_BYTES`."""
    is_text = text_of(beginning, is_whole=len(beginning) < BEGINNING_BYTES) is not None
    return text_type(path) if is_text else binary_type(beginning, path)


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
