"""openat2(2), which opens a path that cannot escape a directory, and renameat2(2).

With RESOLVE_BENEATH, the kernel guarantees that no link, no `..` and no concurrent rename leads out of the directory.
Kernels before 5.6 and other systems lack openat2; see `available`.
"""

import ctypes
import errno
import os
from functools import cache

from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX, OPENAT2, call, numbers

RESOLVE_NO_XDEV = 0x01  # do not cross mount points
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_CACHED = 0x20  # from Linux 5.12
RENAME_NOREPLACE = 1

_HOW_BYTES = 24


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """Open `path` beneath the directory's descriptor and return a descriptor, which is never inherited.

    Raises:
        OSError: EXDEV if the path leads out, EAGAIN after a concurrent rename, and the errors of open(2).
    """
    how = _How(flags | os.O_CLOEXEC, 0, resolve)
    return call(OPENAT2, ctypes.c_int(directory), path, ctypes.byref(how), ctypes.c_size_t(_HOW_BYTES))


@cache
def available() -> bool:
    """Return whether this kernel has openat2 and allows this process to use it."""
    if not IS_LINUX:
        return False
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        os.close(openat2(here, b".", os.O_PATH, RESOLVE_BENEATH))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


def rename_new(from_directory: int, name: str, to_directory: int, new_name: str) -> None:
    """Rename atomically without replacing an existing file.

    Raises:
        FileExistsError: the new name exists.
        OSError: the rename failed; ENOSYS or EINVAL if the system or file system does not support it.
    """
    number = numbers().get("renameat2")
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    directories = ctypes.c_int(from_directory), ctypes.c_int(to_directory)
    call(number, directories[0], os.fsencode(name), directories[1], os.fsencode(new_name),
         ctypes.c_uint(RENAME_NOREPLACE))  # fmt: skip
