"""Parses the paths that callers give: plain text, or a `file:` URI, which can also name paths that are not UTF-8.

Owns the syntax of paths; `path_resolution` resolves them. Bytes that are not UTF-8 are represented as in the standard
library (surrogateescape).
"""

import os
from collections.abc import Sequence
from unicodedata import normalize

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.file_uris import file_uri, is_file_uri, path_of_file_uri
from tfo_mcp.infrastructure.files.error_messages import is_plain, shown

_MAX_PATH_BYTES = 4096


def path_of(path: str) -> tuple[str, bool]:
    """Return the plain path, and whether it was given as a URI.

    Raises:
        OperationFailed: the text is not a valid path.
    """
    is_uri = is_file_uri(path)
    plain = _path_of_uri(path) if is_uri else path
    _require_usable(plain)
    return plain, is_uri


def _require_usable(plain: str) -> None:
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


def parts_of(path: str) -> list[str]:
    """Return the components of a path, without empty ones and `.`."""
    return [part for part in path.split("/") if part not in ("", ".")]


def same_names(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether the names are the same, or differ only in their Unicode normalization."""
    if len(one) != len(other):
        return False
    return all(name == wanted or same_name(name, wanted) for name, wanted in zip(one, other, strict=True))


def same_name(one: str, other: str) -> bool:
    """Return whether two different names differ only in their Unicode normalization."""
    return not (one.isascii() or other.isascii()) and normalize("NFC", one) == normalize("NFC", other)


_ALIKE = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014\u2212", "''\"\"---")  # quotation marks and dashes


def looks_alike(one: str, other: str) -> bool:
    """Return whether two different names look alike: characters that have the same meaning, spaces, quotes, dashes."""
    return not (one.isascii() and other.isascii()) and _plain_name(one) == _plain_name(other)


def _plain_name(name: str) -> str:
    return normalize("NFKC", name).translate(_ALIKE)


def is_absolute(path: str) -> bool:
    """Return whether a plain path is absolute."""
    return path.startswith("/")


def uri_of(path: str) -> str:
    """Return the file: URI (RFC 8089) of an absolute path."""
    return file_uri(path)


def uri_unless_plain(directory: str, path: str) -> str | None:
    """Return the URI of a path below an absolute directory.

    Returns None if the path itself can be given back: it is displayed without escapes, and would not be read as a URI.
    """
    return None if is_plain(path) and not is_file_uri(path) else uri_of(f"{directory.rstrip('/')}/{path}")


def _path_of_uri(uri: str) -> str:
    try:
        return path_of_file_uri(uri)
    except ValueError as problem:
        raise OperationFailed(f"{shown(uri)}: {problem}") from None
