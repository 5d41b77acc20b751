"""Walks directories in sorted order, up to a limit, optionally from a cursor, and never through symbolic links.

Entries are sorted by name, component by component, each directory before its contents. Truncation is therefore
deterministic, and a page continues where the previous one ended. Knows only descriptors; `path_resolution` opens them.
"""

import os
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from operator import attrgetter

from tfo_mcp.application.ports import FileEntry, FileType
from tfo_mcp.domain.cursors import decode_cursor, encode_cursor
from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.domain.file_uris import is_file_uri
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.path_resolution import directory_listed
from tfo_mcp.infrastructure.files.paths import uri_unless_plain
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.sandbox.protected import NOTHING, Protected, path_of

Batch = list[os.DirEntry[str]]

DEEPEST = 64  # each level keeps a descriptor open
_TYPES: Mapping[int, FileType] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
_SLACK = 4096  # names that are collected beyond the limit before the excess is discarded
_NAME = attrgetter("name")


class Scan:
    """One walk through a directory; runs in a worker thread.

    `cut` is whether the limit truncated the walk, `too_deep` whether directories below DEEPEST were skipped.

    Args:
        most: maximum number of entries.
        depth: number of levels to walk, at most DEEPEST; None walks all levels and sets `too_deep`.
        after: components of the entry after which to start.
        protected: files that are left out wherever they lie.
    """

    def __init__(
        self,
        most: int,
        *,
        depth: int | None,
        report: Report,
        after: tuple[str, ...] = (),
        protected: Protected = NOTHING,
    ) -> None:
        self._left = most
        self._depth = DEEPEST if depth is None else min(depth, DEEPEST)
        self._reports_depth = depth is None
        self._report = report
        self._after = after
        self._protected = protected
        self._linked: frozenset[int] = frozenset()
        self._seen = 0
        self.cut = False
        self.too_deep = False

    def walk(self, descriptor: int) -> Generator[tuple[str, Batch]]:
        """Yield batches of entries in order, each with its relative directory, which is empty or ends with a slash."""
        self._linked = self._protected.linked_files()
        return self._walk(descriptor, "", 1, self._after)

    def _walk(self, descriptor: int, prefix: str, level: int, after: tuple[str, ...]) -> Generator[tuple[str, Batch]]:
        first = after[0] if after else ""
        with os.scandir(descriptor) as found:
            shown_here = self._not_hidden(descriptor, found)
            entries = self._smallest(self._from(first, shown_here) if after else shown_here)
        is_passed = bool(after) and bool(entries) and entries[0].name == first
        begun = 0  # index of the first entry that was not yielded yet
        if level < self._depth or self._reports_depth:
            for position, entry in enumerate(entries):
                if not entry.is_dir(follow_symlinks=False):
                    continue
                yield from self._batch(prefix, entries[begun + (is_passed and begun == 0) : position + 1])
                begun = position + 1
                if self.cut:
                    return
                if level == self._depth:
                    self.too_deep = True
                    continue
                with suppress(OSError), directory_listed(descriptor, entry.name) as inner:  # gone, or not readable
                    rest = after[1:] if is_passed and position == 0 else ()
                    yield from self._walk(inner, f"{prefix}{entry.name}/", level + 1, rest)
        yield from self._batch(prefix, entries[begun + (is_passed and begun == 0) :])

    def _not_hidden(self, directory: int, found: Iterable[os.DirEntry[str]]) -> Iterable[os.DirEntry[str]]:
        """Return the entries of a directory that are not protected."""
        if (is_hidden := self._protected.hidden_in(path_of(directory))) is not None:
            found = (entry for entry in found if not is_hidden(entry.name))
        if self._linked:
            found = (entry for entry in found if entry.inode() not in self._linked or not self._is_linked(entry))
        return found

    def _is_linked(self, entry: os.DirEntry[str]) -> bool:
        with suppress(OSError):
            return self._protected.with_other_name(entry.stat(follow_symlinks=False)) is not None
        return False

    def _batch(self, prefix: str, entries: Batch) -> Generator[tuple[str, Batch]]:
        """Yield the entries as one batch, up to the limit."""
        if len(entries) > self._left:
            self.cut = True
            entries = entries[: self._left]
        if entries:
            self._left -= len(entries)
            yield prefix, entries

    def _from(self, first: str, found: Iterable[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        """Yield the entries whose names do not sort before `first`."""
        for entry in found:
            self._report.tick(self._seen)
            if entry.name >= first:
                yield entry

    def _smallest(self, found: Iterable[os.DirEntry[str]]) -> Batch:
        """Return the first entries by name, sorted, while keeping only about `_SLACK` more than the limit in memory."""
        most, kept = self._left + 2, Batch()
        entries = iter(found)
        while more := list(islice(entries, most + _SLACK)):
            self._seen += len(more)
            self._report.tick(self._seen)
            kept += more
            kept.sort(key=_NAME)
            del kept[most:]
        return kept


def entry_names(prefix: str, entries: Batch) -> list[str]:
    """Return the paths of the entries; the path of a directory ends with a slash."""
    return [
        f"{prefix}{entry.name}/" if entry.is_dir(follow_symlinks=False) else prefix + entry.name for entry in entries
    ]


def detailed_entry(directory: str, path: str, entry: os.DirEntry[str]) -> FileEntry:
    """Return the listing entry of a directory entry, with type, size and modification time.

    Args:
        directory: absolute path of the directory where the walk started; `path` is relative to it.
    """
    try:
        status: os.stat_result | None = entry.stat(follow_symlinks=False)
    except OSError:  # it has been removed since it was listed
        status = None
    return file_entry(directory, path, status)


def file_entry(directory: str, path: str, status: os.stat_result | None) -> FileEntry:
    """Return the listing entry of a file with this status; None means removed. See `detailed_entry`."""
    if status is None:
        return _named(directory, path, "other", None, None)
    kind = file_type(status.st_mode)
    return _named(directory, path, kind, status.st_size if kind == "file" else None, status.st_mtime)


def _named(directory: str, path: str, kind: FileType, size: int | None, modified: float | None) -> FileEntry:
    if path.isprintable() and not is_file_uri(path):
        return FileEntry(shown(path), kind, size, modified)
    return FileEntry(shown(path), kind, size, modified, uri_unless_plain(directory, path))


def file_type(mode: int) -> FileType:
    """Return the file type of a mode."""
    return _TYPES.get(stat.S_IFMT(mode), "other")


def cursor_after(path: str) -> str:
    """Return the cursor of the page after a path."""
    return encode_cursor(os.fsencode(path))


def path_before(cursor: str | None) -> tuple[str, ...]:
    """Return the components of the path that a cursor was made from, none for no cursor.

    Raises:
        OperationFailed: the cursor is invalid.
    """
    if cursor is None:
        return ()
    path = decode_cursor(cursor)
    if not path:
        raise OperationFailed("The cursor is not valid: use the next_cursor of the previous page, or none")
    return tuple(os.fsdecode(path).split("/"))
