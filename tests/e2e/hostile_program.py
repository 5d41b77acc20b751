"""Attempts everything that a sandboxed command must not be able to do; the tests run it inside the sandbox.

Uses only the standard library. Prints the names of the successful attempts as one line of JSON. Arguments: the server's
process id, a directory outside of the roots with a file `victim`, a listening TCP port, a listening Unix socket, and a
message queue that all users can access.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

SERVER, OUTSIDE, PORT, SOCKET, QUEUE = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
VICTIM = Path(OUTSIDE, "victim")
LIBC = ctypes.CDLL(None, use_errno=True)
ancestors = [os.getppid()]
while ancestors[-1] > 1:
    try:
        ancestors.append(int(Path(f"/proc/{ancestors[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
    except OSError:
        break
OTHERS = {SERVER, 1, *ancestors[1:]} - {0}


def raising(result: int) -> None:
    """Raise an OSError if a C function has returned an error."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def tcp() -> None:
    """Connect to a TCP port."""
    socket.create_connection(("127.0.0.1", PORT), 2).close()


def udp() -> None:
    """Send a datagram."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT))


def unix() -> None:
    """Connect to a Unix socket inside a root."""
    socket.socket(socket.AF_UNIX).connect(SOCKET)


def unix_by_pair() -> None:
    """Send to a Unix socket from one end of a socket pair."""
    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", SOCKET)


def own_a_socket() -> None:
    """Make another process the owner of a socket, so that it receives the socket's signals."""
    fcntl.ioctl(socket.socketpair()[0], 0x8901, struct.pack("i", SERVER))  # FIOSETOWN


def through_a_link() -> None:
    """Write through a symbolic link to a directory outside of the roots."""
    os.symlink(OUTSIDE, "link")
    Path("link/new").touch()


def set_limits(pid: int) -> None:
    """Set another process's limits to their current values."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE))


def set_priority(pid: int) -> None:
    """Set another process's priority to its current value."""
    os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))


def set_processors(pid: int) -> None:
    """Set another process's CPU affinity to its current value."""
    os.sched_setaffinity(pid, os.sched_getaffinity(pid))


def signal_by_entry(pid: int) -> None:
    """Send a signal through a process's directory in /proc."""
    signal.pidfd_send_signal(os.open(f"/proc/{pid}", os.O_RDONLY), signal.SIGCONT)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "create": Path(OUTSIDE, "new").touch,
    "mkdir": Path(OUTSIDE, "newer").mkdir,
    "append": partial(os.open, VICTIM, os.O_WRONLY | os.O_APPEND),
    "link": partial(os.link, VICTIM, "stolen"),
    "chmod": partial(VICTIM.chmod, 0o777),
    "chown": partial(os.chown, VICTIM, os.getuid(), os.getgid()),
    "utime": partial(os.utime, VICTIM, (1, 1)),
    "xattr": partial(os.setxattr, VICTIM, "user.x", b"x"),
    "read": VICTIM.read_text,
    "list": partial(os.listdir, OUTSIDE),
    "through a link": through_a_link,
    "device": partial(os.mknod, "device", 0o20666, os.makedev(1, 1)),
    "tcp": tcp,
    "udp": udp,
    "unix": unix,
    "unix by a pair": unix_by_pair,
    "netlink": partial(socket.socket, 16, socket.SOCK_RAW),
    "namespace": lambda: raising(LIBC.unshare(0x10000000)),
    "mount": lambda: raising(LIBC.mount(b"none", b".", b"tmpfs", 0, None)),
    "truncate": partial(os.truncate, VICTIM, 0),
    "write": partial(VICTIM.write_text, "x"),
    "rename": partial(VICTIM.rename, "moved"),
    "message": lambda: raising(LIBC.msgsnd(QUEUE, struct.pack("q", 1), 0, 0x800)),
    "state of a queue": lambda: raising(LIBC.msgctl(QUEUE, 2, ctypes.create_string_buffer(256))),
    "signals of a socket": own_a_socket,
    "kill everybody": partial(os.kill, -1, signal.SIGCONT),
}
for pid in OTHERS:
    ATTEMPTS |= {
        f"environ of {pid}": Path(f"/proc/{pid}/environ").read_text,
        f"memory of {pid}": partial(os.open, f"/proc/{pid}/mem", os.O_RDONLY),
        f"files of {pid}": partial(os.listdir, Path("/proc", str(pid), "root", "etc")),
        f"signal to {pid}": partial(os.kill, pid, signal.SIGCONT),
        f"signal by the entry of {pid}": partial(signal_by_entry, pid),
        f"pidfd of {pid}": partial(os.pidfd_open, pid),
        f"limits of {pid}": partial(set_limits, pid),
        f"priority of {pid}": partial(set_priority, pid),
        f"processors of {pid}": partial(set_processors, pid),
        f"trace of {pid}": lambda pid=pid: raising(LIBC.ptrace(16, pid, 0, 0)),  # type: ignore[misc]
    }

succeeded = []
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
    except (OSError, ValueError):
        continue
    succeeded.append(name)
print(json.dumps(succeeded))
