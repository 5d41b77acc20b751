"""Landlock: restricts the calling thread and its future children to the file access that rules allow.

Requires ABI 3 (Linux 6.2), the first that restricts truncation; uses more restrictions if the kernel offers them.
(kernel: include/uapi/linux/landlock.h, Documentation/userspace-api/landlock.rst.)
"""

import ctypes
import os
import stat
from functools import cache

from tfo_mcp.infrastructure.linux.syscalls import (
    IS_LINUX,
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE_RULESET,
    LANDLOCK_RESTRICT_SELF,
    PR_SET_NO_NEW_PRIVS,
    call,
    prctl,
)

LEAST_ABI = 3

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK = 1 << 8, 1 << 9, 1 << 10, 1 << 11
MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = 1 << 12, 1 << 13, 1 << 14, 1 << 15

READING = EXECUTE | READ_FILE | READ_DIR
WRITING = (
    READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM
    | REFER | TRUNCATE
)  # fmt: skip
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_ALL = (1 << 15) - 1
_TCP = 0b11  # bind and connect, from ABI 4
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1  # from ABI 6
SCOPED_ABI = 6

_VERSION_QUESTION = 1
_PATH_BENEATH = 1


class _Attributes(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


@cache
def abi() -> int:
    """Return the ABI version of Landlock that the kernel offers, 0 for none."""
    if not IS_LINUX:
        return 0
    try:
        return call(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_QUESTION))
    except OSError:
        return 0


class Ruleset:
    """An allowlist of file access; all other access that Landlock can restrict is denied.

    Args:
        version: the ABI version to use, from LEAST_ABI to the one that `abi` returned.
        network: whether TCP stays allowed.
    """

    def __init__(self, version: int, *, network: bool) -> None:
        handled = _ALL | (IOCTL_DEV if version >= 5 else 0)
        scoped = _ABSTRACT_SOCKETS | _SIGNALS if version >= SCOPED_ABI else 0
        self._descriptor = _create(_Attributes(handled, 0 if network or version < 4 else _TCP, scoped), version)

    def allow(self, descriptor: int, rights: int) -> None:
        """Allow these rights to an open directory and all files beneath it, or to an open file.

        Rights that apply only to directories are ignored for a file.

        Raises:
            OSError: the kernel refused.
        """
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, descriptor)
        call(LANDLOCK_ADD_RULE, ctypes.c_int(self._descriptor), ctypes.c_int(_PATH_BENEATH),
             ctypes.byref(rule), ctypes.c_uint32(0))  # fmt: skip

    def enforce(self) -> None:
        """Restrict the calling thread and its future children to these rules, irrevocably.

        Raises:
            OSError: the kernel refused.
        """
        _enforce(self._descriptor)

    def close(self) -> None:
        """Close the ruleset; threads that are restricted by it stay so."""
        os.close(self._descriptor)


def keep_signals_within() -> bool:
    """Restrict signals of this thread and its future children to themselves; return False if the kernel cannot.

    Raises:
        OSError: the kernel refused.
    """
    if (version := abi()) < SCOPED_ABI:
        return False
    descriptor = _create(_Attributes(0, 0, _SIGNALS), version)
    try:
        _enforce(descriptor)
    finally:
        os.close(descriptor)
    return True


def _create(attributes: _Attributes, version: int) -> int:
    return call(LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(_size(version)), ctypes.c_uint32(0))


def _enforce(descriptor: int) -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    call(LANDLOCK_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))


def _size(version: int) -> int:
    """Return the size in bytes of the attributes in an ABI version."""
    return 24 if version >= SCOPED_ABI else 16 if version >= 4 else 8
