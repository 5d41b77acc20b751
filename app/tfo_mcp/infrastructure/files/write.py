"""Writes files beneath the roots: replaces, creates, appends and edits. Runs in worker threads.

Owns the preconditions of a write. The directory is locked while they are checked and the file is replaced. For a large
file the lock is released in between, and the write fails if the file has changed meanwhile.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from tfo_mcp.application.ports import Edit, Edited, Write, Written
from tfo_mcp.domain.errors import FileTooLarge, OperationFailed
from tfo_mcp.domain.text_codec import MARK_BYTES, encoded, encoded_addition, encoding_of, unencodable
from tfo_mcp.infrastructure.files.atomic_write import copy, replacement, turn, write_all
from tfo_mcp.infrastructure.files.encoded_text import EncodedText
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.line_ends import with_line_end_of
from tfo_mcp.infrastructure.files.path_resolution import open_regular, parent_of
from tfo_mcp.infrastructure.files.paths import path_of
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.read import digest_of, naming
from tfo_mcp.infrastructure.files.roots import Root
from tfo_mcp.infrastructure.files.text_edits import EditedText
from tfo_mcp.infrastructure.sandbox.protected import Protected
from tfo_mcp.value_objects import value_object

_END_BYTES = 64 << 10  # of an existing file, in which its line end is looked for


@value_object
class Existing:
    """The first `MARK_BYTES` of a file that is appended to, and its last bytes; both are empty for a new file."""

    beginning: bytes = b""
    end: bytes = b""


NewContents = Callable[[Existing], bytes]
"""Returns the data to write after existing data."""
_QUICK_BYTES = 8 << 20  # maximum size of an existing file that is read while the directory is locked


@value_object
class TextEdits:
    """Edits of a text file; `expected_sha256` is the digest that the file must have before."""

    edits: Sequence[Edit]
    encoding: str
    dry_run: bool
    expected_sha256: str | None


def write(roots: Sequence[Root], path: str, contents: NewContents, how: Write, limit: int, report: Report) -> Written:
    """Write a file; an existing file keeps its mode, owner and extended attributes.

    Raises:
        FileMissing, OperationFailed: nothing was written.
    """
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
            appended_to = old if how.mode == "append" else None
            with naming(path):
                data = contents(Existing() if appended_to is None else _read_both_ends(appended_to))
            _require_size(path, len(data), limit)
            with replacement(directory, name, replaces=existing is not None, like=existing, attributes=old) as new:
                start = 0 if appended_to is None else copy(appended_to, new, report)
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
            with naming(path):
                old = EncodedText(file.read(limit + 1), change.encoding)
            new = EditedText(old.text, report.tick)
            for number, one in enumerate(change.edits, 1):
                new.apply(one, number)
            with naming(path):
                data = old.replaced(new.text, new.changes(), lambda: report.tick(new.replacements))
            _require_size(path, len(data), limit)
            outcome = Edited(new.diff(shown(path)), new.replacements)
            if outcome.diff and not change.dry_run:
                writable, existing = open_regular(roots[0].protected, path, directory, name, os.O_WRONLY)
                os.close(writable)  # opening it has checked the permission to write
                with replacement(directory, name, replaces=True, like=existing, attributes=descriptor) as target:
                    write_all(target, data, report)
    return outcome


def _read_both_ends(file: int) -> Existing:
    start = max(0, os.fstat(file).st_size - _END_BYTES) & -MARK_BYTES  # a whole character in every encoding of Unicode
    return Existing(os.pread(file, MARK_BYTES, 0), os.pread(file, _END_BYTES + MARK_BYTES, start))


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


def text_contents(text: str, encoding: str) -> NewContents:
    """Return contents that are text.

    What is appended has the byte order and the last line end of the file, and no byte-order mark.

    Args:
        text: the text.
        encoding: name of a Python codec.
    """

    def encode(existing: Existing) -> bytes:
        try:
            if not existing.beginning:
                return encoded(text, encoding)
            before = encoding_of(existing.beginning, encoding).decode_end(existing.end)
            return encoded_addition(with_line_end_of(before, text), existing.beginning, encoding)
        except UnicodeError:
            instead = (
                "the file has that encoding, so replace them" if existing.beginning else "replace them, or use utf-8"
            )
            missing = unencodable(text, encoding)
            raise OperationFailed(
                f"the content has characters that {encoding} cannot encode: {missing}; {instead}"
            ) from None

    return encode
