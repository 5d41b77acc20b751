"""What the kernel has at hand is read at once, without a thread.

A thread costs more than a small read: most of the time of a call went there. Nothing here waits for a disk or for
another machine: the path is resolved from the kernel's cache only (RESOLVE_CACHED, Linux 5.12), the contents are taken
from the page cache only (RWF_NOWAIT), and both only on the root's own file system, if that is one of those that are
known to need nobody else. Whatever else there is to a path is left to the threads, errors included. See docs/adr/0011.
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
    """Return the whole contents of a small regular file, None where they are not at hand, or cannot be had at all.

    Raises:
        OperationFailed: the path cannot be one, or names no root.
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
            return None  # of several names, one may be protected
        if root.protected.at(path_of(found)) is not None:
            return None
        return _read(found, status.st_size)
    except OSError:
        return None
    finally:
        os.close(found)


def _read(found: int, size: int) -> bytes | None:
    """Open what was found by its descriptor, so that it is the same file, and read it as far as it is in memory."""
    assert _AT_ONCE is not None
    descriptor = os.open(f"/proc/self/fd/{found}", _READ)
    try:
        buffer = bytearray(size + 1)  # one more, to see whether it has grown
        length = os.preadv(descriptor, [buffer], 0, _AT_ONCE)
    finally:
        os.close(descriptor)
    return bytes(buffer[:length]) if length == size else None
