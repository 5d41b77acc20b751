"""Changes the mode, owner and times of files on behalf of a confined program; runs in the supervisor.

Landlock does not cover these changes, so the filter forwards them. The file is resolved as the program would resolve
it, then reopened beneath one of the program's writable directories. Only if both are the same file is it changed,
through the second descriptor, so that concurrent renames cannot redirect the change.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from tfo_mcp.infrastructure.linux import openat2
from tfo_mcp.infrastructure.linux.seccomp import SyscallNotification
from tfo_mcp.infrastructure.linux.syscalls import call, numbers
from tfo_mcp.value_objects import value_object

_AT_FDCWD = 0xFFFFFF9C
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_LONGEST_PATH = 4096
_MODE = 0o1777  # all but the set-user-ID and set-group-ID bits
_PATH_ONLY = os.O_PATH | os.O_CLOEXEC
_BENEATH = openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_SYMLINKS | openat2.RESOLVE_NO_MAGICLINKS
_OWN_ENTRIES = (b"/proc/self/", b"/proc/thread-self/")
_DELETED = b" (deleted)"

Descriptor = int


@value_object
class _Target:
    """The argument positions by which a call names its file: a descriptor, or a path with its base directory."""

    file: int | None = None
    directory: int | None = None
    path: int | None = None
    flags: int | None = None
    follow: bool = True


_TARGETS: Mapping[str, _Target] = {
    "chmod": _Target(path=0),
    "fchmod": _Target(file=0),
    "fchmodat": _Target(directory=0, path=1),
    "fchmodat2": _Target(directory=0, path=1, flags=3),
    "chown": _Target(path=0),
    "lchown": _Target(path=0, follow=False),
    "fchown": _Target(file=0),
    "fchownat": _Target(directory=0, path=1, flags=4),
    "utime": _Target(path=0),
    "utimes": _Target(path=0),
    "futimesat": _Target(directory=0, path=1),
    "utimensat": _Target(directory=0, path=1, flags=3),
}
_MODE_ARGUMENT = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}
_OWNER_ARGUMENT = {"chown": 1, "lchown": 1, "fchown": 1, "fchownat": 2}
_TIMES_ARGUMENT = {"utime": 1, "utimes": 1, "futimesat": 2, "utimensat": 2}


class Metadata:
    """Makes the changes beneath the program's writable directories; `writable` are their descriptors."""

    def __init__(self, writable: Sequence[Descriptor]) -> None:
        self._roots = [(root, os.readlink(os.fsencode(f"/proc/self/fd/{root}"))) for root in writable]
        self._names = {numbers()[name]: name for name in _TARGETS if name in numbers()}

    def answers(self, number: int) -> bool:
        """Return whether a system call is handled here."""
        return number in self._names

    def change(self, notification: SyscallNotification, still_waits: Callable[[], bool]) -> int:
        """Make the change that a call requests; return 0, or the error number for the call."""
        name = self._names[notification.number]
        caller = _Caller(notification)
        try:
            with caller.target(_TARGETS[name]) as found, self._beneath(found) as own:
                apply = _change_of(name, caller)
                if still_waits():
                    apply(own)
        except OSError as problem:
            return problem.errno or errno.EIO
        return 0

    @contextmanager
    def _beneath(self, found: Descriptor) -> Iterator[Descriptor]:
        """Yield the same file, reopened beneath one of the writable directories.

        Raises:
            PermissionError: the file is beneath none of them.
        """
        status = os.fstat(found)
        name = os.readlink(os.fsencode(f"/proc/self/fd/{found}"))
        if status.st_nlink == 0 and name.endswith(_DELETED):
            yield found  # the file is deleted, so no other program can open it by name
            return
        for root, path in self._roots:
            rest = b"." if name == path else name[len(path) + 1 :] if name.startswith(path + b"/") else None
            if rest is None:
                continue
            own = openat2.openat2(root, rest, _PATH_ONLY | os.O_NOFOLLOW, _BENEATH)
            try:
                if os.path.samestat(os.fstat(own), status):
                    yield own
                    return
            finally:
                os.close(own)
        raise PermissionError(errno.EPERM, "")


class _Caller:
    """The thread whose call is answered: its arguments, memory and open files."""

    def __init__(self, notification: SyscallNotification) -> None:
        self._entry = f"/proc/{notification.pid}"
        self._arguments = notification.arguments

    def argument(self, position: int) -> int:
        """Return the lower 32 bits of an argument."""
        return self._arguments[position] & 0xFFFFFFFF

    def memory(self, position: int, most: int) -> bytes | None:
        """Return up to `most` bytes at the address in an argument, fewer before an unmapped page; None for null."""
        address = self._arguments[position]
        if address == 0:
            return None
        memory = os.open(f"{self._entry}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(memory, most, address)
        except OSError:
            raise OSError(errno.EFAULT, "") from None
        finally:
            os.close(memory)

    def numbers(self, position: int, count: int) -> tuple[int, ...] | None:
        """Return `count` 64-bit numbers at the address in an argument; None for a null pointer."""
        data = self.memory(position, 8 * count)
        if data is None:
            return None
        if len(data) < 8 * count:
            raise OSError(errno.EFAULT, "")
        return struct.unpack(f"<{count}q", data)

    @contextmanager
    def target(self, target: _Target) -> Iterator[Descriptor]:
        """Yield a descriptor of the file that the call names."""
        with ExitStack() as stack:
            if target.file is not None:
                yield self._open(stack, f"{self._entry}/fd/{self.argument(target.file)}".encode(), _PATH_ONLY)
                return
            assert target.path is not None
            flags = self.argument(target.flags) if target.flags is not None else 0
            start = _AT_FDCWD if target.directory is None else self.argument(target.directory)
            base = f"{self._entry}/cwd" if start == _AT_FDCWD else f"{self._entry}/fd/{start}"
            path = self._path(target.path)
            if path is None or (not path and flags & _AT_EMPTY_PATH):
                yield self._open(stack, base.encode(), _PATH_ONLY)
                return
            directory = self._open(stack, base.encode(), _PATH_ONLY) if not path.startswith(b"/") else None
            follow = target.follow and not flags & _AT_SYMLINK_NOFOLLOW
            yield self._open(stack, path, _PATH_ONLY | (0 if follow else os.O_NOFOLLOW), directory)

    def _path(self, position: int) -> bytes | None:
        data = self.memory(position, _LONGEST_PATH)
        if data is None:
            return None
        path, end, _ = data.partition(b"\0")
        if not end:
            raise OSError(errno.ENAMETOOLONG, "")
        for own in _OWN_ENTRIES:
            if path.startswith(own):
                return self._entry.encode() + b"/" + path[len(own) :]
        return path

    @staticmethod
    def _open(stack: ExitStack, path: bytes, flags: int, directory: Descriptor | None = None) -> Descriptor:
        if not path:
            raise FileNotFoundError(errno.ENOENT, "")
        descriptor = os.open(path, flags, dir_fd=directory)
        stack.callback(os.close, descriptor)
        return descriptor


def _change_of(name: str, caller: _Caller) -> Callable[[Descriptor], object]:
    """Return a function that changes an open file; it does not read the caller's memory any more."""
    if name in _MODE_ARGUMENT:
        mode = caller.argument(_MODE_ARGUMENT[name]) & _MODE
        return lambda own: os.chmod(f"/proc/self/fd/{own}", mode | _inherited(own))
    if name in _OWNER_ARGUMENT:
        position = _OWNER_ARGUMENT[name]
        user, group = caller.argument(position), caller.argument(position + 1)
        return lambda own: call(
            numbers()["fchownat"], ctypes.c_int(own), b"", ctypes.c_uint(user), ctypes.c_uint(group),
            ctypes.c_int(_AT_EMPTY_PATH),
        )  # fmt: skip
    times = _times(name, caller)
    return lambda own: call(numbers()["utimensat"], ctypes.c_int(own), b"", times, ctypes.c_int(_AT_EMPTY_PATH))


def _inherited(own: Descriptor) -> int:
    """Return the set-group-ID bit of a directory that has it: it makes new files inherit the group, without rights."""
    mode = os.fstat(own).st_mode
    return mode & stat.S_ISGID if stat.S_ISDIR(mode) else 0


def _times(name: str, caller: _Caller) -> bytes | None:
    """Return the two times in the format of utimensat, None for the current time."""
    given = caller.numbers(_TIMES_ARGUMENT[name], 2 if name == "utime" else 4)
    if given is None:
        return None
    if name == "utime":
        given = given[0], 0, given[1], 0
    elif name != "utimensat":
        if not all(0 <= micros < 1_000_000 for micros in given[1::2]):
            raise OSError(errno.EINVAL, "")
        given = given[0], given[1] * 1000, given[2], given[3] * 1000
    return struct.pack("<4q", *given)
