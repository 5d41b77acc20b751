"""Writes files beneath the roots: replaces, creates, appends and edits. Runs in worker threads.

Owns the preconditions of a write. The directory is locked while they are checked and the file is replaced. For a large
file the lock is released in between, and the write fails if the file has changed meanwhile.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tfo_mcp.application.ports import Edit, Edited, Write, Written
from tfo_mcp.domain.errors import FileTooLarge, NotText, OperationFailed
from tfo_mcp.infrastructure.files.atomic_write import copy, replacement, turn, write_all
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.path_resolution import open_regular, parent_of
from tfo_mcp.infrastructure.files.paths import path_of
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.read import digest_of
from tfo_mcp.infrastructure.files.roots import Root
from tfo_mcp.infrastructure.files.text_edits import EditedText
from tfo_mcp.infrastructure.sandbox.protected import Protected

_QUICK_BYTES = 8 << 20  # maximum size of an existing file that is read while the directory is locked


@dataclass(frozen=True, slots=True)
class TextEdits:
    """Edits of a text file; `expected_sha256` is the digest that the file must have before."""

    edits: Sequence[Edit]
    encoding: str
    dry_run: bool
    expected_sha256: str | None


def write(roots: Sequence[Root], path: str, data: bytes, how: Write, limit: int, report: Report) -> Written:
    """Write a file; an existing file keeps its mode, owner and extended attributes.

    Raises:
        FileMissing, OperationFailed: nothing was written.
    """
    _require_size(path, len(data), limit)
    if path_of(path)[0].endswith("/"):
        raise OperationFailed(f"{shown(path)}: this names a directory; add a file name")
    with parent_of(roots, path, create_dirs=how.create_dirs, change=True) as (directory, name), ExitStack() as held:
        held.enter_context(turn(directory))
        old, existing = _existing(roots[0].protected, path, directory, name)
        takes_long = existing is not None and existing.st_size > _QUICK_BYTES and _reads_existing(how)
        if takes_long:
            held.close()  # others can write meanwhile; `_require_same` detects that
        try:
            _require(path, how, old, existing, report)
            with replacement(directory, name, replaces=existing is not None, like=existing, attributes=old) as new:
                start = copy(old, new, report) if old is not None and how.mode == "append" else 0
                os.lseek(new, start, os.SEEK_SET)
                write_all(new, data, report)
                if takes_long:
                    os.fsync(new)
                    held.enter_context(turn(directory))
                    _require_same(path, directory, name, existing)
        except FileExistsError:
            raise OperationFailed(f"{shown(path)}: the file has just been created by another: read it first") from None
        finally:
            if old is not None:
                os.close(old)
    return Written(len(data), start + len(data))


def edit(roots: Sequence[Root], path: str, change: TextEdits, limit: int, report: Report) -> Edited:
    """Apply all edits to a text file, or none.

    Raises:
        FileMissing, OperationFailed: the file is unchanged.
    """
    with parent_of(roots, path, change=not change.dry_run) as (directory, name), turn(directory):
        descriptor, status = open_regular(roots[0].protected, path, directory, name, os.O_RDONLY)
        with open(descriptor, "rb") as file:
            _require_size(path, status.st_size, limit)
            if change.expected_sha256 is not None:
                _require_digest(path, descriptor, change.expected_sha256, report)
            try:
                text = EditedText(file.read(limit + 1).decode(change.encoding), report.tick)
            except UnicodeError:
                raise NotText(f"{shown(path)}: this is not {change.encoding} text") from None
            for number, one in enumerate(change.edits, 1):
                text.apply(one, number)
            outcome = Edited(text.diff(shown(path)), text.replacements)
            if outcome.diff and not change.dry_run:
                data = _encoded(path, text.text, change.encoding)
                _require_size(path, len(data), limit)
                writable, existing = open_regular(roots[0].protected, path, directory, name, os.O_WRONLY)
                os.close(writable)  # opening it has checked the permission to write
                with replacement(directory, name, replaces=True, like=existing, attributes=descriptor) as new:
                    write_all(new, data, report)
    return outcome


def _existing(protected: Protected, path: str, directory: int, name: str) -> tuple[int | None, os.stat_result | None]:
    """Return the status of the file to be written, and a read descriptor if it is readable; None if it is missing.

    Raises:
        OperationFailed: the file is not a regular file.
        OSError: the file is not writable.
    """
    try:
        descriptor, status = open_regular(protected, path, directory, name, os.O_WRONLY)
    except FileNotFoundError:
        return None, None
    os.close(descriptor)  # opening it has checked the permission to write
    with suppress(PermissionError):
        return open_regular(protected, path, directory, name, os.O_RDONLY)
    return None, status


def _require(path: str, how: Write, old: int | None, existing: os.stat_result | None, report: Report) -> None:
    if existing is not None and how.mode == "create":
        raise OperationFailed(f"{shown(path)}: exists already; to replace it use the mode overwrite")
    if existing is not None and old is None and (how.mode == "append" or how.expected_sha256 is not None):
        raise OperationFailed(
            f"{shown(path)}: the file is writable but not readable: use the mode overwrite, without a digest"
        )
    if how.expected_sha256 is not None:
        if old is None:
            raise OperationFailed(f"{shown(path)}: there is no such file, so its digest cannot match")
        _require_digest(path, old, how.expected_sha256, report)


def _reads_existing(how: Write) -> bool:
    return how.mode == "append" or how.expected_sha256 is not None


def _require_same(path: str, directory: int, name: str, existing: os.stat_result | None) -> None:
    with suppress(FileNotFoundError):
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if existing is not None and _identity(now) == _identity(existing):
            return
    raise OperationFailed(f"{shown(path)}: the file has changed in the meantime: try again")


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _require_digest(path: str, descriptor: int, expected: str, report: Report) -> None:
    actual = digest_of(descriptor, report)
    if actual != expected.lower():
        raise OperationFailed(
            f"{shown(path)}: the file has changed (its SHA-256 is now {actual}): read it again before you write"
        )


def _require_size(path: str, size: int, limit: int) -> None:
    if size > limit:
        raise FileTooLarge(f"{shown(path)}: {size} bytes are over the limit of {limit} (files.max_write_bytes)")


def _encoded(path: str, text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeError:
        raise OperationFailed(f"{shown(path)}: {encoding} cannot encode some of the new text") from None
