"""RootedFiles: the FileStore beneath the configured roots.

Owns what reading, writing, listing and searching mean, and their limits; every descriptor comes from `beneath`. All
work is done in worker threads. Settings arrive as plain values.
"""

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import closing, suppress
from urllib.parse import quote

from anyio import to_thread

from app.application.ports import FileEntry, Listing
from app.domain.errors import FileMissing, OperationFailed
from app.infrastructure.files.beneath import (
    Root,
    create_file,
    directory_listed,
    locate,
    open_regular,
    open_to_pass,
    parent_of,
)
from app.infrastructure.files.tree import Glob, Scan, file_entry
from app.infrastructure.files.wording import refuse_outside, shown

_CHUNK = 256 * 1024
_EXAMINED_PER_MATCH = 100  # a search looks at this many times `max_entries` names at most
_KEPT_MODE = 0o1777  # all but set-user-id and set-group-id, which writing takes away from a file


class RootedFiles:
    """Files beneath `roots`, and nothing else.

    Relative paths start at the first root. `max_entries` bounds listings and matches.

    Raises:
        ValueError: there is no root, or one is not a directory that can be opened.
    """

    def __init__(
        self, roots: Sequence[str | os.PathLike[str]], *, max_read_bytes: int, max_write_bytes: int, max_entries: int
    ) -> None:
        if not roots:
            raise ValueError("files.roots: name at least one directory")
        self._roots = tuple(Root.open(os.fspath(root)) for root in roots)
        self._max_read_bytes = max_read_bytes
        self._max_write_bytes = max_write_bytes
        self._max_entries = max_entries

    def close(self) -> None:
        """Let go of the roots; nothing can be opened afterwards."""
        roots, self._roots = self._roots, ()
        for root in roots:
            os.close(root.descriptor)

    async def read(self, path: str) -> bytes:
        """Return a regular file's bytes, if they are within the limit."""
        return await to_thread.run_sync(self._read, path)

    async def write(self, path: str, data: bytes, create_dirs: bool) -> int:
        """Replace or create a file whole and return the number of bytes; an existing file keeps its mode."""
        try:
            return await to_thread.run_sync(self._write, path, data, create_dirs)
        except FileMissing:
            hint = "a directory on the way does not exist; create it, or set create_dirs to true"
            raise FileMissing(f"{shown(path)}: {hint}") from None

    async def list(self, path: str, recursive: bool) -> Listing:
        """Return what a directory holds, sorted component by component."""
        return await to_thread.run_sync(self._list, path, recursive)

    async def search(self, path: str, pattern: str) -> Listing:
        """Return what matches a glob, as `tree.Glob` reads it; case matters."""
        return await to_thread.run_sync(self._search, path, pattern)

    async def uri(self, path: str) -> str:
        """Return the absolute file: URI (RFC 8089) of a path. It need not exist: links are not looked at."""
        root, parts = locate(self._roots, path)
        passed: list[str] = []
        for part in parts:
            if part != "..":
                passed.append(part)
            elif passed:
                passed.pop()
            else:
                refuse_outside(path)
        return "file://" + quote("/" + "/".join((*root.name, *passed)))

    def open_directory(self, path: str) -> int:
        """Return a new descriptor of a directory, good for passing through; the caller closes it.

        Raises:
            FileMissing, OperationFailed: as the other methods.
        """
        with parent_of(self._roots, path) as (directory, name):
            return open_to_pass(directory, name)

    def _read(self, path: str) -> bytes:
        limit = self._max_read_bytes
        with parent_of(self._roots, path) as (directory, name):
            descriptor, status = open_regular(path, directory, name, os.O_RDONLY)
            with open(descriptor, "rb", buffering=0) as file:
                data = bytearray()
                while status.st_size <= limit and len(data) <= limit:
                    chunk = file.read(min(_CHUNK, limit + 1 - len(data)))
                    if not chunk:
                        return bytes(data)
                    data += chunk
        raise OperationFailed(f"{shown(path)}: the file is over the limit of {limit} bytes (files.max_read_bytes)")

    def _write(self, path: str, data: bytes, create_dirs: bool) -> int:
        limit = self._max_write_bytes
        if len(data) > limit:
            raise OperationFailed(
                f"{shown(path)}: {len(data)} bytes are over the limit of {limit} (files.max_write_bytes)"
            )
        if path.endswith("/"):
            raise OperationFailed(f"{shown(path)}: this names a directory; add a file name")
        with parent_of(self._roots, path, create_dirs=create_dirs) as (directory, name):
            existing: os.stat_result | None = None
            with suppress(FileNotFoundError):
                descriptor, existing = open_regular(path, directory, name, os.O_WRONLY)
                os.close(descriptor)  # opening it has shown that it may be written
            _replace(directory, name, data, existing)
        return len(data)

    def _list(self, path: str, recursive: bool) -> Listing:
        scan = Scan(self._max_entries, recursive=recursive)
        with parent_of(self._roots, path) as (directory, name), directory_listed(directory, name) as descriptor:
            entries = tuple(file_entry(relative, entry) for relative, entry in scan.walk(descriptor))
        return Listing(entries, scan.cut)

    def _search(self, path: str, pattern: str) -> Listing:
        glob = Glob(pattern)
        scan = Scan(self._max_entries * _EXAMINED_PER_MATCH, recursive=True)
        found: list[FileEntry] = []
        with (
            parent_of(self._roots, path) as (directory, name),
            directory_listed(directory, name) as descriptor,
            closing(scan.walk(descriptor)) as entries,
        ):
            for relative, entry in entries:
                if not glob.matches(relative):
                    continue
                if len(found) == self._max_entries:
                    return Listing(tuple(found), truncated=True)
                found.append(file_entry(relative, entry))
        return Listing(tuple(found), scan.cut)


def _replace(directory: int, name: str, data: bytes, existing: os.stat_result | None) -> None:
    """Write a temporary file beside the old one, bring it to the disk, and put it in the old one's place."""
    temporary = f".tfo-mcp-{secrets.token_hex(8)}.tmp"
    descriptor = create_file(directory, temporary, 0o666 if existing is None else 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if existing is not None:
                with suppress(PermissionError):
                    os.fchown(descriptor, existing.st_uid, existing.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(existing.st_mode) & _KEPT_MODE)
            os.fsync(descriptor)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    with suppress(OSError), directory_listed(directory, ".") as listed:  # a directory may be writable and not readable
        os.fsync(listed)
