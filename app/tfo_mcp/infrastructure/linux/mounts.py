"""Mounts in a private mount namespace of the calling process: mount(2), unshare(2), and the user namespace if needed.

Mounts over open descriptors instead of paths, so that exactly the opened file is covered. (user_namespaces(7),
mount(2).)
"""

import ctypes
import os

from tfo_mcp.infrastructure.linux.syscalls import _checked, _libc

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_READ_ONLY, _NO_SET_ID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18
_INHERITED = _NO_SET_ID | _NO_DEVICES | _NO_PROGRAMS  # statvfs(3) numbers these as mount(2) does


def enter_namespace() -> bool:
    """Enter a private mount namespace; return whether that took a user namespace as well.

    Raises:
        OSError: the system does not allow it for this user.
    """
    try:
        _unshare(_NEW_MOUNTS)
        made_users = False
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        _unshare(_NEW_MOUNTS | _NEW_USERS)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        made_users = True
    _mount(None, b"/", None, _PRIVATE | _RECURSIVE)
    return made_users


def cover_directory(directory: int) -> None:
    """Mount an empty read-only directory over an open one.

    Raises:
        OSError: the kernel refused.
    """
    flags = _READ_ONLY | _INHERITED
    _mount(b"tmpfs", _name(directory), b"tmpfs", flags, b"mode=000,size=4k,nr_inodes=2")


def cover_file(file: int, path: str) -> None:
    """Mount a file that cannot be opened over the open file at `path`.

    Raises:
        OSError: the kernel refused.
    """
    _mount(os.devnull.encode(), _name(file), None, _BIND)
    _remount(path, _READ_ONLY | _INHERITED)  # on a mount without devices the null device cannot be opened


def pin(file: int, path: str, *, read_only: bool = False) -> None:
    """Mount an open directory or file over itself, so that its path can neither be renamed nor removed.

    Raises:
        OSError: the kernel refused.
    """
    _mount(_name(file), _name(file), None, _BIND | _RECURSIVE)
    if read_only:
        _remount(path, _READ_ONLY)


def _remount(path: str, flags: int) -> None:
    mounted = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        kept = os.fstatvfs(mounted).f_flag & _INHERITED
        _mount(None, _name(mounted), None, _REMOUNT | _BIND | flags | kept)
    finally:
        os.close(mounted)


def _name(descriptor: int) -> bytes:
    return b"/proc/self/fd/%d" % descriptor


def _unshare(flags: int) -> None:
    _checked(_libc().unshare(ctypes.c_int(flags)))


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    _checked(_libc().mount(source, target, kind, ctypes.c_ulong(flags), data))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
