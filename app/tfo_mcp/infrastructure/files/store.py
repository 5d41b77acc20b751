"""RootedFiles: the FileStore beneath the configured roots.

Owns the limits, and which work goes to a worker thread: all but small reads of what the kernel has in memory. What the
work is, is for the modules beside this one. Settings arrive as plain values.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tfo_mcp.application.ports import (
    Contents,
    Edit,
    Edited,
    FileInfo,
    FileRoot,
    Filter,
    Lines,
    Listing,
    Matches,
    Names,
    Progress,
    TextPart,
    Write,
    Written,
)
from tfo_mcp.domain.errors import FileMissing, OperationFailed
from tfo_mcp.infrastructure.files import listing, move_delete, read, write
from tfo_mcp.infrastructure.files.cached_read import contents_at_hand
from tfo_mcp.infrastructure.files.directory_scan import Scan, decode_cursor
from tfo_mcp.infrastructure.files.error_messages import ProtectedFile, shown
from tfo_mcp.infrastructure.files.path_resolution import open_to_pass, parent_of, refuse_other_name
from tfo_mcp.infrastructure.files.paths import uri_of
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.ripgrep import Effort, Ripgrep, StartReader
from tfo_mcp.infrastructure.files.roots import absolute, open_roots
from tfo_mcp.infrastructure.files.threads import FileThreads
from tfo_mcp.infrastructure.files.write import TextEdits
from tfo_mcp.infrastructure.sandbox.protected import NOTHING, Protected


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The most bytes that are read and written at once, the most entries of an answer, the seconds of a search."""

    read_bytes: int
    write_bytes: int
    entries: int
    search_seconds: float


class RootedFiles:
    """Files beneath `roots`, and nothing else.

    Args:
        roots: directories, each with whether it is only read. Relative paths start at the first one. None: there are
            none, and whatever is asked for is refused.
        limits: what one call may ask for.
        start_reader: starts a program that can read one directory only.
        report_seconds: how often work that takes long tells how far it is.
        protected: what is never served, wherever it lies.

    Raises:
        ValueError: the list of roots is empty, or one cannot be served.
    """

    def __init__(
        self,
        roots: Sequence[tuple[str | os.PathLike[str], bool]] | None,
        limits: FileLimits,
        start_reader: StartReader,
        report_seconds: float = 0.1,
        protected: Protected = NOTHING,
    ) -> None:
        wanted = None if roots is None else [(os.fspath(path), read_only) for path, read_only in roots]
        self._roots = () if wanted is None else open_roots(wanted, protected)
        self._protected = protected
        self._limits = limits
        self._ripgrep = Ripgrep(start_reader)
        self._threads = FileThreads(report_seconds)

    def close(self) -> None:
        """Let go of the roots; nothing can be opened afterwards."""
        roots, self._roots = self._roots, ()
        for root in roots:
            os.close(root.descriptor)

    def works(self) -> bool:
        """Tell whether every root is still there, as far as that is known without asking another machine."""
        try:
            return all(os.fstat(root.descriptor).st_nlink for root in self._roots if root.is_local)
        except OSError:
            return False

    @property
    def roots(self) -> Sequence[FileRoot]:
        """The roots, in the order of the configuration."""
        return tuple(FileRoot(root.path, uri_of(root.path), root.read_only) for root in self._roots)

    @property
    def descriptors(self) -> Sequence[tuple[int, str, bool]]:
        """The roots as open descriptors, with their paths and whether they are only read; they stay this object's."""
        return tuple((root.descriptor, root.path, root.read_only) for root in self._roots)

    async def read(self, path: str, progress: Progress | None = None) -> bytes:
        """Return a regular file's bytes, if they are within the limit."""
        data = contents_at_hand(self._roots, path)
        if data is not None and len(data) <= self._limits.read_bytes:
            return data
        limit = self._limits.read_bytes
        return await self._threads.short(lambda report: read.read_whole(self._roots, path, limit, report), progress)

    async def read_text(self, path: str, encoding: str, lines: Lines, progress: Progress | None = None) -> TextPart:
        """Return lines of a text file, up to the limit."""
        data = contents_at_hand(self._roots, path)
        if data is not None:
            return read.part_of(data, path, encoding, lines, self._limits.read_bytes)
        limit = self._limits.read_bytes
        return await self._threads.short(
            lambda report: read.read_part(self._roots, path, encoding, lines, limit, report), progress
        )

    async def write(self, path: str, data: bytes, how: Write, progress: Progress | None = None) -> Written:
        """Write a file whole; an existing one keeps its mode, its owner and its extended attributes."""
        try:
            limit = self._limits.write_bytes
            return await self._threads.short(
                lambda report: write.write(self._roots, path, data, how, limit, report), progress
            )
        except FileMissing:
            hint = "a directory on the way does not exist; create it, or set create_dirs to true"
            raise FileMissing(f"{shown(path)}: {hint}") from None

    async def edit(
        self,
        path: str,
        edits: Sequence[Edit],
        *,
        encoding: str = "utf-8",
        dry_run: bool = False,
        expected_sha256: str | None = None,
        progress: Progress | None = None,
    ) -> Edited:
        """Replace exact pieces of a text file, all or none."""
        change = TextEdits(edits, encoding, dry_run, expected_sha256)
        limit = self._limits.write_bytes
        return await self._threads.bounded(
            lambda report: write.edit(self._roots, path, change, limit, report), progress
        )

    async def list(
        self,
        path: str,
        *,
        depth: int | None = 1,
        cursor: str | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Listing:
        """Return what a directory holds, sorted component by component, a page at a time."""
        after, entries = decode_cursor(cursor), self._most(most)

        def listed(report: Report) -> Listing:
            scan = Scan(entries, depth=depth, report=report, after=after, protected=self._protected)
            return listing.list_directory(self._roots, path, scan)

        return await (self._threads.short if depth == 1 else self._threads.long)(listed, progress)

    async def names(
        self,
        path: str,
        *,
        depth: int | None = 1,
        cursor: str | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Names:
        """Return the names of what a directory holds, as `list` does."""
        after, entries = decode_cursor(cursor), self._most(most)

        def names(report: Report) -> Names:
            scan = Scan(entries, depth=depth, report=report, after=after, protected=self._protected)
            return listing.list_names(self._roots, path, scan)

        return await (self._threads.short if depth == 1 else self._threads.long)(names, progress)

    async def find(
        self, path: str, filter: Filter, *, most: int | None = None, progress: Progress | None = None
    ) -> Listing:
        """Return what has a fitting name, by ripgrep's list of the files that are not ignored."""
        entries = self._most(most)

        def find(report: Report, deadline: float, is_last: bool) -> Listing:
            effort = Effort(report, deadline, is_last)
            return listing.find_names(self._roots, path, self._ripgrep, filter, entries, effort)

        return await self._threads.search(find, self._limits.search_seconds, progress)

    async def search(
        self,
        path: str,
        contents: Contents,
        filter: Filter,
        *,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Matches:
        """Return the matching lines that ripgrep finds."""
        entries = self._most(most)

        def search(report: Report, deadline: float, is_last: bool) -> Matches:
            effort = Effort(report, deadline, is_last)
            return listing.search_contents(self._roots, path, self._ripgrep, contents, filter, entries, effort)

        return await self._threads.search(search, self._limits.search_seconds, progress)

    async def move(
        self,
        source: str,
        destination: str,
        *,
        overwrite: bool = False,
        create_dirs: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Give a file or directory another name; a link is moved, not what it points to."""
        await self._threads.short(
            lambda report: move_delete.move(
                self._roots, source, destination, report, overwrite=overwrite, create_dirs=create_dirs
            ),
            progress,
        )

    async def delete(self, path: str, *, recursive: bool = False, progress: Progress | None = None) -> int:
        """Delete a file, a directory or a link (not what it points to)."""
        run = self._threads.long if recursive else self._threads.short
        return await run(lambda report: move_delete.delete(self._roots, path, report, recursive=recursive), progress)

    async def info(self, path: str, *, digest: bool = False, progress: Progress | None = None) -> FileInfo:
        """Return what is known of a file or directory."""
        run = self._threads.long if digest else self._threads.short
        return await run(lambda report: read.describe(self._roots, path, digest=digest, report=report), progress)

    async def complete(self, typed: str) -> Sequence[str]:
        """Return what begins as typed, relative to the first root or absolute, directories with a slash at the end."""
        return await self._threads.short(lambda report: listing.complete(self._roots, typed, report))

    async def uri(self, path: str) -> str:
        """Return the absolute file: URI (RFC 8089) of a path. It need not exist: links are not looked at."""
        return uri_of(absolute(self._roots, path))

    def open_directory(self, path: str) -> int:
        """Return a new descriptor of a directory, good for passing through; the caller closes it.

        Raises:
            FileMissing, OperationFailed: as the other methods.
        """
        with parent_of(self._roots, path) as (directory, name):
            return open_to_pass(directory, name)

    def open_parent(self, uri: str) -> int:
        """Return a new descriptor of the directory that holds what a URI names; the caller closes it.

        Raises:
            FileMissing, OperationFailed: as the other methods.
        """
        with parent_of(self._roots, uri) as (directory, _):
            return os.dup(directory)

    def signature(self, uri: str) -> object:
        """Return what changes whenever the contents behind a URI do; None when there is nothing to be read."""
        try:
            with parent_of(self._roots, uri) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OperationFailed:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def require_served(self, uri: str) -> None:
        """Check that a URI names nothing that belongs to the server itself.

        Raises:
            OutOfReach: it does.
        """
        try:
            with parent_of(self._roots, uri) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                refuse_other_name(self._protected, uri, status)
        except ProtectedFile:
            raise
        except OperationFailed:
            return  # what cannot be reached is watched all the same: it may come

    def _most(self, asked: int | None) -> int:
        """Return the most entries of an answer; a call may ask for fewer than the setting allows."""
        return self._limits.entries if asked is None else min(asked, self._limits.entries)
