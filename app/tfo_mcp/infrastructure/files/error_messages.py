"""Words paths and failures for callers.

Owns two rules. An error names the path as the caller gave it, never a path of the host. A displayed name is
unambiguous: bytes that are not UTF-8, control characters and bidirectional marks are escaped.
"""

import errno
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tfo_mcp.domain.errors import FileMissing, OperationFailed, OutOfReach

_LONGEST_SHOWN = 1000
_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "not a directory, or a component of the path is not a directory",
    errno.EISDIR: "this is a directory, not a file",
    errno.ELOOP: "too many symbolic links, or changed while it was opened",
    errno.ENAMETOOLONG: "the path or a name in it is too long",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.EXDEV: "not possible across file systems",
    errno.ENXIO: "not a regular file",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ETXTBSY: "the file is a program that is running",
    errno.EMFILE: "the server has too many files open; try again",
    errno.ENFILE: "the machine has too many files open; try again",
}


class NoSuchEntry(FileNotFoundError):
    """A directory has no entry of this name, but one whose name looks alike."""

    def __init__(self, similar: str) -> None:
        super().__init__(errno.ENOENT, os.strerror(errno.ENOENT))
        self.similar = similar


class ProtectedFile(OutOfReach):
    """The path leads to a file of the server itself, such as its keys."""


def shown(text: str) -> str:
    """Return a path or name in a form that is safe to display, truncated to 1,000 characters."""
    if text.isprintable() and len(text) <= _LONGEST_SHOWN:
        return text
    visible = "".join(_escape(char) if _is_hidden(char) else char for char in text[:_LONGEST_SHOWN])
    return visible if len(text) <= _LONGEST_SHOWN else visible + "…"


def is_plain(text: str) -> bool:
    """Return whether a path or name is displayed without escapes or truncation."""
    return len(text) <= _LONGEST_SHOWN and (text.isprintable() or not any(map(_is_hidden, text)))


def refuse_outside(path: str) -> NoReturn:
    """Report that a path leaves the roots.

    Raises:
        OutOfReach: always.
    """
    raise OutOfReach(f"{shown(path)}: outside the directories that this server may use (files.roots)", "files")


def refuse_protected(path: str, setting: str) -> NoReturn:
    """Report that a path leads to a file of the server itself; `setting` names the setting that protects it.

    Raises:
        ProtectedFile: always.
    """
    raise ProtectedFile(f"{shown(path)}: belongs to the server itself and is not served ({setting})", "files")


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Translate operating-system errors of the block into errors for the caller.

    Raises:
        FileMissing: the file or directory does not exist.
        OperationFailed: any other OSError.
    """
    try:
        yield
    except NoSuchEntry as missing:
        raise FileMissing(
            f"{shown(path)}: no such file or directory. There is {missing.similar!a}, whose name looks alike"
        ) from None
    except FileNotFoundError:
        raise FileMissing(f"{shown(path)}: no such file or directory") from None
    except OSError as error:
        code = error.errno or errno.EIO
        raise OperationFailed(f"{shown(path)}: {_REASONS.get(code) or os.strerror(code)}") from None


def _is_hidden(char: str) -> bool:
    return not char.isprintable() and (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _DIRECTION_MARKS
    )


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape represents it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
