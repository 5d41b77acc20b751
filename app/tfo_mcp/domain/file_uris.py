"""file: URIs (RFC 8089): their paths, and their canonical form.

Accepted are `file:/path`, `file:///path` and `file://localhost/path`, with the scheme and the host in any case and with
any percent-encoding. Text such as `file:notes.txt` is no URI but an ordinary name. Bytes that are not UTF-8 are
represented as in the standard library (surrogateescape).
"""

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes

_BEGINNING = "file:/"
_HOSTS = ("", "localhost")


def is_file_uri(text: str) -> bool:
    """Return whether a text is a file: URI."""
    return text[: len(_BEGINNING)].lower() == _BEGINNING


def path_of_file_uri(uri: str) -> str:
    """Return the absolute path of a file: URI.

    Raises:
        ValueError: the URI names another host, or has a query or a fragment; the message says what to change.
    """
    rest = uri[len(_BEGINNING) - 1 :]
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        if host.lower() not in _HOSTS:
            raise ValueError("a file: URI names no host except localhost, as in file:///directory/name")
        rest = slash + rest
    for char, encoded in (("?", "%3F"), ("#", "%23")):
        if char in rest:
            raise ValueError(f"a file: URI has only a path, as in file:///directory/name; write {char} as {encoded}")
    return os.fsdecode(unquote_to_bytes(rest.encode("utf-8", "surrogateescape")))


def file_uri(path: str) -> str:
    """Return the canonical URI of an absolute path."""
    return "file://" + quote_from_bytes(os.fsencode(path))
