"""What a caller may write for a path: plain text, or a `file:` URI, which can name what no text can.

Owns the forms, not where they lead: `path_resolution` finds that out. Bytes that are not UTF-8 are carried as the
standard library carries them (surrogateescape).
"""

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.files.error_messages import is_plain, shown

_MAX_PATH_BYTES = 4096
_SCHEME = "file:"


def path_of(path: str) -> tuple[str, bool]:
    """Return the plain path, and whether it came as a URI.

    Raises:
        OperationFailed: it cannot be a path.
    """
    is_uri = path[: len(_SCHEME)].lower() == _SCHEME
    plain = _path_of_uri(path) if is_uri else path
    if "\0" in plain:
        raise OperationFailed("A path must not hold NUL characters")
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
    """Return the components of a path, empty ones and `.` left out."""
    return [part for part in path.split("/") if part not in ("", ".")]


def is_absolute(path: str) -> bool:
    """Tell whether a plain path starts at the top."""
    return path.startswith("/")


def uri_of(path: str) -> str:
    """Return the file: URI (RFC 8089) of an absolute path."""
    return "file://" + quote_from_bytes(os.fsencode(path))


def uri_unless_plain(directory: str, path: str) -> str | None:
    """Return the URI of a path below an absolute directory, None where the path as it is displayed is its own name."""
    return None if is_plain(path) else uri_of(f"{directory.rstrip('/')}/{path}")


def _path_of_uri(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise OperationFailed(f"{shown(uri)}: this is no URI of a file") from None
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise OperationFailed(f"{shown(uri)}: a file's URI has a path only, as in file:///directory/name")
    return os.fsdecode(unquote_to_bytes(parts.path))
