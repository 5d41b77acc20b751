"""RootedFiles: the FileStore beneath the configured roots.

Owns the limits, and which operations run in worker threads: all except small reads that the kernel has cached. The
operations themselves are in the other modules of this package. Must not know the settings model: limits are plain
values.
"""

import os
from collections.abc import Sequence

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
from tfo_mcp.infrastructure.files.directory_scan import Scan, path_before
from tfo_mcp.infrastructure.files.error_messages import ProtectedFile, shown
from tfo_mcp.infrastructure.files.path_resolution import open_to_pass, parent_of, refuse_other_name
from tfo_mcp.infrastructure.files.paths import path_of, uri_of
from tfo_mcp.infrastructure.files.progress import Report
from tfo_mcp.infrastructure.files.ripgrep import Effort, Ripgrep, StartReader
from tfo_mcp.infrastructure.files.roots import absolute, open_roots
from tfo_mcp.infrastructure.files.search_target import ResultPage
from tfo_mcp.infrastructure.files.threads import FileThreads
from tfo_mcp.infrastructure.files.write import NewContents, TextEdits
from tfo_mcp.infrastructure.sandbox.protected import NOTHING, Protected
from tfo_mcp.value_objects import value_object


@value_object
class FileLimits:
    """Maximum bytes of a read and of a write, entries of a result, and seconds of a search."""

    read_bytes: int
    write_bytes: int
    entries: int
    search_seconds: float


class RootedFiles:
    """Serves the files beneath `roots`, and nothing else.

    Args:
        roots: directories, each with whether it is read-only. Relative paths start at the first one. With None there
            are no roots, and every operation is refused.
        limits: limits of one call.
        start_reader: starts a program that can read a single directory.
        report_seconds: seconds between two progress reports.
        protected: files that are never served, wherever they lie.

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
        """Close the roots; nothing can be opened afterwards."""
        roots, self._roots = self._roots, ()
        for root in roots:
            os.close(root.descriptor)

    def works(self) -> bool:
        """Return whether every root on a local file system still exists; other roots are not checked."""
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
        """The roots as open descriptors, with their paths and whether they are read-only; this object owns them."""
        return tuple((root.descriptor, root.path, root.read_only) for root in self._roots)

    async def read(self, path: str, progress: Progress | None = None) -> bytes:
        """Return the bytes of a regular file; a file over the limit is an error."""
        data = contents_at_hand(self._roots, path)
        if data is not None and len(data) <= self._limits.read_bytes:
            return data
        limit = self._limits.read_bytes
        return await self._threads.short(lambda report: read.read_whole(self._roots, path, limit, report), progress)

    async def beginning(self, path: str, size: int) -> bytes:
        """Return the first bytes of a regular file, `size` if it has as many."""
        data = contents_at_hand(self._roots, path)
        if data is not None:
            return data[:size]
        return await self._threads.short(lambda report: read.read_beginning(self._roots, path, size))

    async def read_text(
        self, path: str, encoding: str, lines: Lines, progress: Progress | None = None, *, most_bytes: int | None = None
    ) -> TextPart:
        """Return lines of a text file, truncated to the limit."""
        limit = min(self._limits.read_bytes, most_bytes or self._limits.read_bytes)
        data = contents_at_hand(self._roots, path)
        if data is not None:
            return read.part_of(data, path, encoding, lines, limit)
        return await self._threads.short(
            lambda report: read.read_part(self._roots, path, encoding, lines, limit, report), progress
        )

    async def write(self, path: str, data: bytes, how: Write, progress: Progress | None = None) -> Written:
        """Write a file; an existing file keeps its mode, owner and extended attributes."""
        return await self._write(path, lambda existing: data, how, progress)

    async def write_text(
        self, path: str, text: str, encoding: str, how: Write, progress: Progress | None = None
    ) -> Written:
        """Write text as `write` does; appended text takes the byte order and line end of the file."""
        return await self._write(path, write.text_contents(text, encoding), how, progress)

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
        """Apply exact replacements to a text file, all or none."""
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
        """Return one page of a directory's entries, sorted component by component."""
        after, entries = path_before(cursor), self._most(most)

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
        """Return the names of a directory's entries, paged as in `list`."""
        after, entries = path_before(cursor), self._most(most)

        def names(report: Report) -> Names:
            scan = Scan(entries, depth=depth, report=report, after=after, protected=self._protected)
            return listing.list_names(self._roots, path, scan)

        return await (self._threads.short if depth == 1 else self._threads.long)(names, progress)

    async def find(
        self, path: str, filter: Filter, *, most: int | None = None, skip: int = 0, progress: Progress | None = None
    ) -> Listing:
        """Return the files and directories whose names match, among those that ripgrep does not ignore."""
        page = ResultPage(self._most(most), skip)

        def find(report: Report, deadline: float, is_last: bool) -> Listing:
            effort = Effort(report, deadline, is_last)
            return listing.find_names(self._roots, path, self._ripgrep, filter, page, effort)

        return await self._threads.search(find, self._limits.search_seconds, progress)

    async def search(
        self,
        path: str,
        contents: Contents,
        filter: Filter,
        *,
        most: int | None = None,
        skip: int = 0,
        progress: Progress | None = None,
    ) -> Matches:
        """Return the matching lines that ripgrep finds."""
        page = ResultPage(self._most(most), skip)

        def search(report: Report, deadline: float, is_last: bool) -> Matches:
            effort = Effort(report, deadline, is_last)
            return listing.search_contents(self._roots, path, self._ripgrep, contents, filter, page, effort)

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
        """Move or rename a file or directory; a link is moved itself, not its target."""
        await self._threads.short(
            lambda report: move_delete.move(
                self._roots, source, destination, report, overwrite=overwrite, create_dirs=create_dirs
            ),
            progress,
        )

    async def delete(self, path: str, *, recursive: bool = False, progress: Progress | None = None) -> int:
        """Delete a file, a directory or a link (not its target)."""
        run = self._threads.long if recursive else self._threads.short
        return await run(lambda report: move_delete.delete(self._roots, path, report, recursive=recursive), progress)

    async def info(self, path: str, *, digest: bool = False, progress: Progress | None = None) -> FileInfo:
        """Return the metadata of a file or directory."""
        run = self._threads.long if digest else self._threads.short
        return await run(lambda report: read.describe(self._roots, path, digest=digest, report=report), progress)

    async def complete(self, typed: str) -> Sequence[str]:
        """Return the paths that start with `typed`, relative to the first root or absolute; directories end with /."""
        return await self._threads.short(lambda report: listing.complete(self._roots, typed, report))

    async def uri(self, path: str) -> str:
        """Return the absolute file: URI (RFC 8089) of a path, without resolving links; the file need not exist."""
        return uri_of(absolute(self._roots, path))

    def open_directory(self, path: str) -> int:
        """Return a new O_PATH descriptor of a directory; the caller closes it.

        Raises:
            FileMissing, OperationFailed: as the other methods.
        """
        with parent_of(self._roots, path) as (directory, name):
            return open_to_pass(directory, name)

    def open_parent(self, uri: str) -> int:
        """Return a new descriptor of the directory that contains the file of a URI; the caller closes it.

        Raises:
            FileMissing, OperationFailed: as the other methods.
        """
        with parent_of(self._roots, uri) as (directory, _):
            return os.dup(directory)

    def signature(self, uri: str) -> str | None:
        """Return text that changes whenever the contents of a URI change; None if it cannot be read.

        It is the same on all machines that share the file system, whose device number may differ.
        """
        try:
            with parent_of(self._roots, uri) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OperationFailed:
            return None
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"

    def require_served(self, uri: str) -> None:
        """Check that there are roots, and that a URI is valid and does not name a file of the server itself.

        Raises:
            OperationFailed: there is no root, or the URI is invalid.
            OutOfReach: the file belongs to the server.
        """
        if not self._roots:
            raise OperationFailed("Subscriptions are for files in configured directories: configure one in files.roots")
        path_of(uri)
        try:
            with parent_of(self._roots, uri) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                refuse_other_name(self._protected, uri, status)
        except ProtectedFile:
            raise
        except OperationFailed:
            return  # a file that cannot be reached is watched, too: it may be created later

    def _most(self, asked: int | None) -> int:
        """Return the maximum entries of a result; a call may ask for fewer than the setting allows."""
        return self._limits.entries if asked is None else min(asked, self._limits.entries)

    async def _write(self, path: str, contents: NewContents, how: Write, progress: Progress | None) -> Written:
        limit = self._limits.write_bytes
        try:
            return await self._threads.short(
                lambda report: write.write(self._roots, path, contents, how, limit, report), progress
            )
        except FileMissing:
            hint = "a directory of the path does not exist; create it, or set create_dirs to true"
            raise FileMissing(f"{shown(path)}: {hint}") from None
