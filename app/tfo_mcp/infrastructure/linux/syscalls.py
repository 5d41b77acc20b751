"""Makes system calls by number, and lists their numbers by processor.

Numbers from 424 on are the same on all processors; older ones are listed for the processors that the sandbox supports
(kernel: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
"""

import ctypes
import os
import platform
import sys
from functools import cache

IS_LINUX = sys.platform == "linux"
OPENAT2 = 437
PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446

_X86_64 = {
    "kill": 62, "setsid": 112, "clone": 56, "socket": 41, "socketpair": 53, "ioctl": 16, "fcntl": 72,
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "tkill": 200, "tgkill": 234,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "prlimit64": 302, "setpriority": 141, "ioprio_set": 251,
    "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314,
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
    "open_by_handle_at": 304, "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175,
    "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "acct": 163,
    "quotactl": 179, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "sethostname": 170, "setdomainname": 171, "syslog": 103, "iopl": 172, "ioperm": 173, "add_key": 248,
    "request_key": 249, "keyctl": 250, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "fanotify_init": 300, "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66,
    "semtimedop": 220, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
    "renameat2": 316, "seccomp": 317, "open": 2, "openat": 257, "creat": 85, "mknod": 133, "mknodat": 259, "mkdir": 83,
    "mkdirat": 258,
}  # fmt: skip
_GENERIC = {
    "kill": 129, "setsid": 157, "clone": 220, "socket": 198, "socketpair": 199, "ioctl": 29, "fcntl": 25, "fchmod": 52,
    "fchmodat": 53, "fchown": 55, "fchownat": 54, "utimensat": 88, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
    "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "tkill": 130, "tgkill": 131,
    "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "prlimit64": 261, "setpriority": 140, "ioprio_set": 30,
    "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122, "sched_setattr": 274,
    "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
    "open_by_handle_at": 265, "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105,
    "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294, "acct": 89,
    "quotactl": 60, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266,
    "sethostname": 161, "setdomainname": 162, "syslog": 116, "add_key": 217, "request_key": 218, "keyctl": 219,
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "fanotify_init": 262, "shmget": 194, "shmat": 196,
    "shmctl": 195, "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193, "msgget": 186, "msgctl": 187,
    "msgrcv": 188, "msgsnd": 189, "mq_open": 180, "mq_unlink": 181, "renameat2": 276, "seccomp": 277,
    "openat": 56, "mknodat": 33, "mkdirat": 34,
}  # fmt: skip
_SINCE_424 = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435,
    "openat2": OPENAT2, "mount_setattr": 442, "quotactl_fd": 443, "fchmodat2": 452, "setxattrat": 463,
    "removexattrat": 466, "file_setattr": 469,
}  # fmt: skip
_BY_MACHINE = {"x86_64": _X86_64, "aarch64": _GENERIC}


@cache
def numbers() -> dict[str, int]:
    """Return the numbers of system calls by name; empty on an unsupported processor."""
    own = _BY_MACHINE.get(platform.machine()) if IS_LINUX and sys.maxsize > 2**32 else None
    return {} if own is None else own | _SINCE_424


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """Make a system call and return its result.

    Raises:
        OSError: the kernel refused.
    """
    return _checked(_libc().syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2) and return its result.

    Raises:
        OSError: the kernel refused.
    """
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc().prctl(ctypes.c_int(option), *padded))


_Statfs = ctypes.c_long * 32  # `f_type` is the first field; the size leaves room for the others


def file_system_type(descriptor: int) -> int:
    """Return the magic number of the file system that an open file is on (statfs(2), `f_type`).

    Raises:
        OSError: the kernel refused.
    """
    buffer = _Statfs()
    _checked(_libc().fstatfs(ctypes.c_int(descriptor), buffer))
    return int(buffer[0])


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
