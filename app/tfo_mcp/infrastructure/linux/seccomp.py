"""seccomp: a filter over the system calls of a process and all it starts, some of which another process answers.

Owns the filter's machine language and the messages of its listener. (kernel: include/uapi/linux/seccomp.h,
include/uapi/linux/filter.h; seccomp_unotify(2).) Knows processors with 64 bits, little end first.
"""

import ctypes
import errno
import fcntl
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfo_mcp.infrastructure.linux.syscalls import PR_SET_NO_NEW_PRIVS, call, numbers, prctl

ALLOW, NOTIFY, _ERRNO, KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000
_ARCHITECTURES = {62: 0xC000003E, 129: 0xC00000B7}  # by the number of kill: x86-64, AArch64
_X32_BIT = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_ABOVE, _AND, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x54, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5  # once a call has been received, only its caller's end interrupts it
_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_ACTIONS = Path("/proc/sys/kernel/seccomp/actions_avail")

Instruction = tuple[int, int, int, int]


def fail(code: int) -> int:
    """Return the action that makes a call fail with an error number."""
    return _ERRNO | code


def available() -> bool:
    """Tell whether the kernel has filters with a listener, and this processor is known."""
    try:
        return bool(numbers()) and "user_notif" in _ACTIONS.read_text(encoding="ascii").split()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Condition:
    """Looks at the lower half of an argument; `mask` selects bits, None all of them."""

    argument: int
    values: Sequence[int]
    action: int
    mask: int | None = None
    any_bit: bool = False

    def instructions(self) -> list[Instruction]:
        """Return the code that goes to the action if the argument has one of the values (or any of their bits)."""
        code: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * self.argument)]
        if self.mask is not None:
            code.append((_AND, 0, 0, self.mask))
        jump = _JUMP_ANY_BIT if self.any_bit else _JUMP_EQUAL
        for value in self.values:
            code += [(jump, 0, 1, value), (_RETURN, 0, 0, self.action)]
        return code


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one system call: the action of the first test that fits, else its own."""

    number: int
    action: int
    tests: Sequence[Condition] = ()

    def instructions(self) -> list[Instruction]:
        """Return the code, to be run with the call's number loaded; it goes past its own end for other calls."""
        body = [instruction for test in self.tests for instruction in test.instructions()]
        body.append((_RETURN, 0, 0, self.action))
        return [(_JUMP_EQUAL, 0, len(body), self.number), *body]


def program(rules: Sequence[Rule]) -> bytes:
    """Return the machine code of a filter that allows all but what the rules are about, for this processor only."""
    architecture = _ARCHITECTURES[numbers()["kill"]]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_JUMP_ABOVE, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, fail(errno.ENOSYS)),
    ]
    for rule in rules:
        code += rule.instructions()
    code.append((_RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install(code: bytes) -> int:
    """Put the filter on the calling thread and return the listener's descriptor.

    Raises:
        OSError: the kernel refused.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    filter_ = _Program(len(code) // 8, code)
    return call(numbers()["seccomp"], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_NEW_LISTENER | _WAIT_KILLABLE),
                ctypes.byref(filter_))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notification:
    """A system call that waits for an answer; `pid` is the calling thread."""

    id: int
    pid: int
    number: int
    arguments: tuple[int, ...]


def receive(listener: int) -> Notification | None:
    """Return the next call that waits; None when it has gone.

    Raises:
        OSError: the listener is of no more use.
    """
    buffer = bytearray(80)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    identifier, pid, _flags, number, _architecture, _pointer, *arguments = struct.unpack("<QIIiIQ6Q", buffer)
    return Notification(identifier, pid, number, tuple(arguments))


def still_waits(listener: int, notification: Notification) -> bool:
    """Tell whether the caller is still there, so that what was read by its id was its own."""
    try:
        fcntl.ioctl(listener, _IS_VALID, struct.pack("<Q", notification.id))
    except OSError:
        return False
    return True


def answer(listener: int, notification: Notification, code: int | None) -> None:
    """Let the call fail with an error number, let it have succeeded (0), or let the kernel do it (None)."""
    flags, error = (_CONTINUE, 0) if code is None else (0, -code)
    try:
        fcntl.ioctl(listener, _SEND, struct.pack("<QqiI", notification.id, 0, error, flags))
    except OSError as problem:
        if problem.errno != errno.ENOENT:  # the caller has gone
            raise
