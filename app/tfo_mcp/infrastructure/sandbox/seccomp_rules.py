"""The seccomp rules: which system calls a confined program may make.

Landlock restricts file access and, in new kernels, signals. The rules restrict the rest: sockets, priorities and limits
of other processes, namespaces, and administration of the kernel. They forward three kinds of calls to the supervisor:
calls that name a process, new sessions (the scheduler may give each session its own share), and changes of a file's
mode, owner and times, which Landlock does not cover. Fork is not forwarded, because a forwarded call can be
interrupted, which programs do not expect of fork. No new file can have the set-user-ID or set-group-ID bit, since a
program with it would run with the rights of the server's user for anybody.
"""

import errno
import socket

from tfo_mcp.infrastructure.linux.seccomp import ALLOW, NOTIFY, Condition, Rule, fail
from tfo_mcp.infrastructure.linux.syscalls import numbers

NAMES_PROCESS = {
    "kill": 0,
    "tkill": 0,
    "tgkill": 0,
    "rt_sigqueueinfo": 0,
    "rt_tgsigqueueinfo": 0,
    "pidfd_open": 0,
    "prlimit64": 0,
    "sched_setparam": 0,
    "sched_setscheduler": 0,
    "sched_setaffinity": 0,
    "sched_setattr": 0,
    "setpriority": 1,
    "ioprio_set": 1,
}
"""System calls that name a process, with the position of that argument; the value 0 means the caller itself."""
NEW_SESSION = "setsid"
CHANGES_METADATA = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat",
)  # fmt: skip

_WITHOUT_KERNEL = (  # programs fall back to others; the mode of openat2 is in memory, which a filter cannot read
    "clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register", "pidfd_send_signal",
)  # fmt: skip
_NO_ATTRIBUTES = (
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "file_setattr",
)  # fmt: skip
_FORBIDDEN = (
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_by_handle_at", "open_tree", "move_mount",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "swapon", "swapoff", "reboot", "init_module",
    "finit_module", "delete_module", "kexec_load", "kexec_file_load", "acct", "quotactl", "quotactl_fd",
    "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname", "syslog", "iopl",
    "ioperm", "add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "fanotify_init",
    "shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl",
    "mq_open", "mq_unlink",
)  # fmt: skip
_NAMESPACES = 0x7E020000  # CLONE_NEWNS, CLONE_NEWCGROUP and the six between
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FILE_FLAGS = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
_SET_OWNER = (8, 15)  # F_SETOWN, F_SETOWN_EX: can direct signals to any process
_SET_OWNER_OF_SOCKET = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP: the same for sockets
_STREAM_KINDS = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)  # connected pairs that cannot send to other addresses
_KIND_MASK = 0xF
_MODE_OF_NEW_FILE = {"open": 2, "openat": 3, "creat": 1, "mknod": 1, "mknodat": 2, "mkdir": 1, "mkdirat": 2}
_SET_ID = 0o6000
_ONE_PROCESS = {"setpriority": 0, "ioprio_set": 1}  # value of the first argument for which the second one is a process

_REFUSED = fail(errno.EPERM)
_NO_SOCKET = fail(errno.EACCES)


def rules(*, network: bool) -> list[Rule]:
    """Return the rules for a program with or without internet sockets."""
    number = numbers()
    made = [Rule(number["clone"], ALLOW, [Condition(0, [_NAMESPACES], _REFUSED, any_bit=True)])]
    made.append(Rule(number[NEW_SESSION], NOTIFY))
    made += [_about_process(name, argument) for name, argument in NAMES_PROCESS.items()]
    made += [Rule(number[name], NOTIFY) for name in CHANGES_METADATA if name in number]
    made += [Rule(number[name], fail(errno.ENOSYS)) for name in _WITHOUT_KERNEL]
    made += [Rule(number[name], fail(errno.EOPNOTSUPP)) for name in _NO_ATTRIBUTES]
    made += [Rule(number[name], _REFUSED) for name in _FORBIDDEN if name in number]
    made += [
        Rule(number[name], ALLOW, [Condition(mode, [_SET_ID], _REFUSED, any_bit=True)])
        for name, mode in _MODE_OF_NEW_FILE.items()
        if name in number
    ]
    internet = [socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_NETLINK", 16)] if network else []
    made += [
        Rule(number["socket"], _NO_SOCKET, [Condition(0, internet, ALLOW)]),
        Rule(number["socketpair"], _NO_SOCKET, [Condition(1, _STREAM_KINDS, ALLOW, mask=_KIND_MASK)]),
        Rule(number["ioctl"], ALLOW, [Condition(1, (*_TERMINAL_INPUT, *_FILE_FLAGS, *_SET_OWNER_OF_SOCKET), _REFUSED)]),
        Rule(number["fcntl"], ALLOW, [Condition(1, _SET_OWNER, _REFUSED)]),
    ]
    return made


def _about_process(name: str, argument: int) -> Rule:
    number = numbers()[name]
    if name in _ONE_PROCESS:
        others = [which for which in range(4) if which != _ONE_PROCESS[name]]
        return Rule(number, NOTIFY, [Condition(0, others, _REFUSED), Condition(argument, [0], ALLOW)])
    return Rule(number, NOTIFY, [Condition(argument, [0], ALLOW)])
