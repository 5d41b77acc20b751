"""Parses the paths that callers give: plain text, or a `file:` URI, which can also name paths that are not UTF-8.

Owns the syntax of paths; `path_resolution` resolves them. Bytes that are not UTF-8 are represented as in the standard
library (surrogateescape).
"""

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.error_messages import is_plain, shown

_MAX_PATH_BYTES = 4096
_SCHEME = "file:"


def path_of(path: str) -> tuple[str, bool]:
    """Return the plain path, and whether it was given as a URI.

    Raises:
        OperationFailed: the text is not a valid path.
    """
    is_uri = path[: len(_SCHEME)].lower() == _SCHEME
    plain = _path_of_uri(path) if is_uri else path
    if "\0" in plain:
        raise OperationFailed("A path must not contain NUL characters")
    if not plain:
        raise OperationFailed("The path is empty; use '.' for the first root")
    try:
        size = len(os.fsencode(plain))
    except UnicodeEncodeError:
        raise OperationFailed(f"{shown(plain)}: the path is not valid Unicode") from None
    if size > _MAX_PATH_BYTES:
        raise OperationFailed(f"{shown(plain)}: the path is longer than {_MAX_PATH_BYTES} bytes")
    return plain, is_uri


def parts_of(path: str) -> list[str]:
    """Return the components of a path, without empty ones and `.`."""
    return [part for part in path.split("/") if part not in ("", ".")]


def is_absolute(path: str) -> bool:
    """Return whether a plain path is absolute."""
    return path.startswith("/")


def uri_of(path: str) -> str:
    """Return the file: URI (RFC 8089) of an absolute path."""
    return "file://" + quote_from_bytes(os.fsencode(path))


def uri_unless_plain(directory: str, path: str) -> str | None:
    """Return the URI of a path below an absolute directory, None if the path is displayed without escapes."""
    return None if is_plain(path) else uri_of(f"{directory.rstrip('/')}/{path}")


def _path_of_uri(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise OperationFailed(f"{shown(uri)}: not a valid file: URI") from None
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise OperationFailed(f"{shown(uri)}: a file: URI has only a path, as in file:///directory/name")
    return os.fsdecode(unquote_to_bytes(parts.path))
