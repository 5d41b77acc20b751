"""seccomp: filters the system calls of a process and its children; a listener in another process can answer some.

Owns the machine code of the filter (BPF) and the messages of its listener. Supports 64-bit little-endian processors.
(kernel: include/uapi/linux/seccomp.h, include/uapi/linux/filter.h; seccomp_unotify(2).)
"""

import ctypes
import errno
import fcntl
import struct
from collections.abc import Sequence
from pathlib import Path

from tfo_mcp.infrastructure.linux.syscalls import PR_SET_NO_NEW_PRIVS, call, numbers, prctl
from tfo_mcp.value_objects import value_object

ALLOW, NOTIFY, _ERRNO, KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000
_ARCHITECTURES = {62: 0xC000003E, 129: 0xC00000B7}  # by the number of kill: x86-64, AArch64
_X32_BIT = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_ABOVE, _AND, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x54, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5  # a received call can be interrupted only by a fatal signal
_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_ACTIONS = Path("/proc/sys/kernel/seccomp/actions_avail")

Instruction = tuple[int, int, int, int]


def fail(code: int) -> int:
    """Return the filter action that makes a call fail with an error number."""
    return _ERRNO | code


def available() -> bool:
    """Return whether the kernel supports filters with a listener, and the processor is supported."""
    try:
        return bool(numbers()) and "user_notif" in _ACTIONS.read_text(encoding="ascii").split()
    except OSError:
        return False


@value_object
class Condition:
    """Tests the lower 32 bits of an argument; `mask` selects bits, None all of them.

    `action` applies if the argument equals one of the `values`, or with `any_bit` has any of their bits.
    """

    argument: int
    values: Sequence[int]
    action: int
    mask: int | None = None
    any_bit: bool = False

    def instructions(self) -> list[Instruction]:
        """Return the code that returns the action if the test succeeds, and continues otherwise."""
        code: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * self.argument)]
        if self.mask is not None:
            code.append((_AND, 0, 0, self.mask))
        jump = _JUMP_ANY_BIT if self.any_bit else _JUMP_EQUAL
        for value in self.values:
            code += [(jump, 0, 1, value), (_RETURN, 0, 0, self.action)]
        return code


@value_object
class Rule:
    """The rule of one system call: the action of the first test that succeeds, else its own action."""

    number: int
    action: int
    tests: Sequence[Condition] = ()

    def instructions(self) -> list[Instruction]:
        """Return the code; it expects the call's number in the accumulator, and falls through for other calls."""
        body = [instruction for test in self.tests for instruction in test.instructions()]
        body.append((_RETURN, 0, 0, self.action))
        return [(_JUMP_EQUAL, 0, len(body), self.number), *body]


def program(rules: Sequence[Rule]) -> bytes:
    """Return the machine code of a filter, for this processor only; calls without a rule are allowed."""
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
    """Install the filter on the calling thread and return the listener's descriptor.

    Raises:
        OSError: the kernel refused.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    filter_ = _Program(len(code) // 8, code)
    return call(numbers()["seccomp"], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_NEW_LISTENER | _WAIT_KILLABLE),
                ctypes.byref(filter_))  # fmt: skip


@value_object
class SyscallNotification:
    """A system call that waits for an answer; `pid` is the id of the calling thread."""

    id: int
    pid: int
    number: int
    arguments: tuple[int, ...]


def receive(listener: int) -> SyscallNotification | None:
    """Return the next waiting call; None if its caller is gone.

    Raises:
        OSError: the listener is not usable any more.
    """
    buffer = bytearray(80)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    identifier, pid, _flags, number, _architecture, _pointer, *arguments = struct.unpack("<QIIiIQ6Q", buffer)
    return SyscallNotification(identifier, pid, number, tuple(arguments))


def still_waits(listener: int, notification: SyscallNotification) -> bool:
    """Return whether the caller still waits, so that data read by its id belongs to it."""
    try:
        fcntl.ioctl(listener, _IS_VALID, struct.pack("<Q", notification.id))
    except OSError:
        return False
    return True


def answer(listener: int, notification: SyscallNotification, code: int | None) -> None:
    """Answer a call: fail with an error number, succeed (0), or let the kernel execute it (None)."""
    flags, error = (_CONTINUE, 0) if code is None else (0, -code)
    try:
        fcntl.ioctl(listener, _SEND, struct.pack("<QqiI", notification.id, 0, error, flags))
    except OSError as problem:
        if problem.errno != errno.ENOENT:  # the caller is gone
            raise
