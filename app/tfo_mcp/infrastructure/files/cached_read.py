"""Reads small files that the kernel has cached, without a thread.

Handing a small read to a thread costs more than the read itself. Nothing here waits for a disk or for another machine:
paths are resolved only from the kernel's cache (RESOLVE_CACHED, Linux 5.12), and contents are read only from the page
cache (RWF_NOWAIT), both only on the root's own file system, which must be a known local one. Everything else, including
errors, is left to the worker threads. See docs/adr/0011.
"""

import os
import stat
from collections.abc import Sequence

from tfo_mcp.infrastructure.files.roots import Root, locate
from tfo_mcp.infrastructure.linux import openat2
from tfo_mcp.infrastructure.sandbox.protected import path_of

_MOST = 64 * 1024
_RESOLVE = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_MAGICLINKS | openat2.RESOLVE_NO_XDEV | openat2.RESOLVE_CACHED
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_AT_ONCE: int | None = getattr(os, "RWF_NOWAIT", None)


def contents_at_hand(roots: Sequence[Root], path: str) -> bytes | None:
    """Return the contents of a cached regular file of at most 64 KiB; None if it must be read in a thread.

    Raises:
        OperationFailed: the path is invalid, or outside the roots.
    """
    root, parts = locate(roots, path)
    if _AT_ONCE is None or not root.is_local or not openat2.available():
        return None
    try:
        way = os.fsencode("/".join(parts) or ".")
        found = openat2.openat2(root.descriptor, way, os.O_PATH, _RESOLVE)
    except OSError:
        return None
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST or status.st_nlink > 1:
            return None  # another hard link to the file may be protected
        if root.protected.at(path_of(found)) is not None:
            return None
        return _read(found, status.st_size)
    except OSError:
        return None
    finally:
        os.close(found)


def _read(found: int, size: int) -> bytes | None:
    """Reopen the resolved file by its descriptor, so that it is the same file; return None unless all is cached."""
    assert _AT_ONCE is not None
    descriptor = os.open(f"/proc/self/fd/{found}", _READ)
    try:
        buffer = bytearray(size + 1)  # one more byte, to detect that the file has grown
        length = os.preadv(descriptor, [buffer], 0, _AT_ONCE)
    finally:
        os.close(descriptor)
    return bytes(buffer[:length]) if length == size else None
