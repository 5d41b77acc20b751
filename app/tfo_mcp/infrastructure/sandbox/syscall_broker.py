"""Answers the system calls that the seccomp filter forwards to the supervisor.

There are three kinds. Calls that name a process are allowed if it is one of the program's own processes. New sessions
are refused if there are too many processes. Changes of file metadata are made here on behalf of the program.
"""

import errno
import os

from tfo_mcp.infrastructure.linux import seccomp
from tfo_mcp.infrastructure.linux.seccomp import SyscallNotification
from tfo_mcp.infrastructure.linux.syscalls import numbers
from tfo_mcp.infrastructure.sandbox.metadata import Metadata
from tfo_mcp.infrastructure.sandbox.processes import count_below, descends_from, every_process
from tfo_mcp.infrastructure.sandbox.seccomp_rules import NAMES_PROCESS, NEW_SESSION


class Requests:
    """Answers the forwarded calls of one program and its descendants.

    Args:
        listener: descriptor of the seccomp listener.
        metadata: makes changes of file metadata.
        most_processes: maximum number of threads at once.
    """

    def __init__(self, listener: int, metadata: Metadata, most_processes: int) -> None:
        self._listener = listener
        self._metadata = metadata
        self._most_processes = most_processes
        self._sessions_until_count = most_processes
        self._process_arguments = {numbers()[name]: position for name, position in NAMES_PROCESS.items()}

    def answer(self) -> bool:
        """Answer one call; return False if no process is left that could make one."""
        try:
            notification = seccomp.receive(self._listener)
        except OSError:
            return False
        if notification is not None:
            seccomp.answer(self._listener, notification, self._decision(notification))
        return True

    def _decision(self, notification: SyscallNotification) -> int | None:
        """Return the decision; no argument of a program may crash its supervisor."""
        try:
            return self._decide(notification)
        except Exception:
            return errno.EIO

    def _decide(self, notification: SyscallNotification) -> int | None:
        """Return the error number for the call, 0 if it was carried out here, None to let the kernel execute it."""
        number = notification.number
        if number in self._process_arguments:
            return _own_process(notification.arguments[self._process_arguments[number]])
        if number == numbers()[NEW_SESSION]:
            return self._admit_session()
        if self._metadata.answers(number):
            return self._metadata.change(notification, lambda: seccomp.still_waits(self._listener, notification))
        return errno.ENOSYS

    def _admit_session(self) -> int | None:
        """Allow a new session unless there are too many processes; they are counted rarely, since that is slow."""
        if self._sessions_until_count == 0:
            self._sessions_until_count = max(0, self._most_processes - count_below(os.getpid()))
            if self._sessions_until_count == 0:
                return errno.EPERM
        self._sessions_until_count -= 1
        return None


def _own_process(argument: int) -> int | None:
    """Return None if a process argument, as of kill(2), refers only to the program's own processes, else EPERM."""
    pid = argument & 0xFFFFFFFF
    pid -= 1 << 32 if pid >> 31 else 0
    supervisor = os.getpid()
    if pid > 0:
        return None if descends_from(supervisor, pid) else errno.EPERM
    if pid == -1:
        return errno.EPERM
    members = [found.pid for found in every_process() if found.group == -pid]
    return None if all(descends_from(supervisor, member) for member in members) else errno.EPERM
