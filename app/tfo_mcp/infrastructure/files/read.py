"""Reads files beneath the roots: contents, lines, digests and metadata. Runs in worker threads.

Owns the size limit of reads. Must not know tools or how threads are chosen.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from tfo_mcp.application.ports import FileInfo, Lines, TextPart
from tfo_mcp.domain.errors import FileTooLarge, NotText, OperationFailed
from tfo_mcp.infrastructure.files.directory_scan import file_type
from tfo_mcp.infrastructure.files.error_messages import shown
from tfo_mcp.infrastructure.files.path_resolution import open_regular, parent_of, refuse_other_name, status_of
from tfo_mcp.infrastructure.files.paths import uri_of
from tfo_mcp.infrastructure.files.progress import Report, Silence
from tfo_mcp.infrastructure.files.roots import Root, absolute, locate
from tfo_mcp.infrastructure.files.text import read_lines, whole_text

_CHUNK = 256 * 1024
EVERYTHING = Lines()


def read_whole(roots: Sequence[Root], path: str, limit: int, report: Report) -> bytes:
    """Return a regular file's bytes.

    Raises:
        FileTooLarge: the file is over the limit, in bytes.
    """
    with parent_of(roots, path) as (directory, name):
        descriptor, status = open_regular(roots[0].protected, path, directory, name, os.O_RDONLY)
        with open(descriptor, "rb", buffering=0) as file:
            data = bytearray()
            while status.st_size <= limit and len(data) <= limit:
                chunk = file.read(min(_CHUNK, limit + 1 - len(data)))
                if not chunk:
                    return bytes(data)
                data += chunk
                report.tick(len(data), status.st_size)
    raise FileTooLarge(
        f"{shown(path)}: {max(status.st_size, len(data))} bytes are over the limit of {limit} bytes "
        "(files.max_read_bytes); read a text file in parts with read_file: offset and limit, head, or tail"
    )


def read_beginning(roots: Sequence[Root], path: str, size: int) -> bytes:
    """Return the first bytes of a regular file, `size` if it has as many."""
    with parent_of(roots, path) as (directory, name):
        descriptor, _ = open_regular(roots[0].protected, path, directory, name, os.O_RDONLY)
        with open(descriptor, "rb") as file:
            return file.read(size)


def read_part(roots: Sequence[Root], path: str, encoding: str, lines: Lines, limit: int, report: Report) -> TextPart:
    """Return lines of a text file, truncated to the limit in bytes.

    Raises:
        NotText: the file is not text in this encoding.
    """
    with parent_of(roots, path) as (directory, name):
        descriptor, status = open_regular(roots[0].protected, path, directory, name, os.O_RDONLY)
        try:
            with naming(path):
                return read_lines(partial(os.pread, descriptor), status.st_size, encoding, lines, limit, report)
        finally:
            os.close(descriptor)


def part_of(data: bytes, path: str, encoding: str, lines: Lines, limit: int) -> TextPart:
    """Return lines of a file with the contents `data`, as `read_part` does."""
    with naming(path):
        if lines == EVERYTHING:
            return whole_text(data, encoding, limit)
        return read_lines(lambda size, at: data[at : at + size], len(data), encoding, lines, limit, Silence())


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Prefix errors about a file's contents with its path."""
    try:
        yield
    except NotText as problem:
        raise NotText(f"{shown(path)}: {problem.message}") from None
    except OperationFailed as problem:
        raise OperationFailed(f"{shown(path)}: {problem.message}") from None


def describe(roots: Sequence[Root], path: str, *, digest: bool, report: Report) -> FileInfo:
    """Return the metadata of a file or directory; links are followed."""
    root, _ = locate(roots, path)
    with parent_of(roots, path, follow=False) as (directory, name):
        is_link = stat.S_ISLNK(status_of(root.protected, directory, name).st_mode)
    with parent_of(roots, path) as (directory, name):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        refuse_other_name(root.protected, path, status)
        sha256 = None
        if digest:
            descriptor, status = open_regular(roots[0].protected, path, directory, name, os.O_RDONLY)
            try:
                sha256 = digest_of(descriptor, report)
            finally:
                os.close(descriptor)
    return FileInfo(
        type=file_type(status.st_mode),
        size=status.st_size,
        modified=status.st_mtime,
        mode=f"{stat.S_IMODE(status.st_mode):04o}",
        is_link=is_link,
        read_only=root.read_only,
        uri=uri_of(absolute(roots, path)),
        sha256=sha256,
    )


def digest_of(descriptor: int, report: Report) -> str:
    """Return the SHA-256 of an open file's contents, in hexadecimal digits."""
    digest = hashlib.sha256()
    position, size = 0, os.fstat(descriptor).st_size
    while chunk := os.pread(descriptor, _CHUNK, position):
        digest.update(chunk)
        position += len(chunk)
        report.tick(position, max(size, position))
    return digest.hexdigest()
