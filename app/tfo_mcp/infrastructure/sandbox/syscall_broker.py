"""Answers the system calls that the filter hands to the supervisor.

Three kinds: calls that name a process, which has to be one of the program's own; new sessions, which are refused when
there are too many processes; and changes of metadata, which are made here. Everything else about them is the kernel's.
"""

import errno
import os

from tfo_mcp.infrastructure.linux import seccomp
from tfo_mcp.infrastructure.linux.seccomp import Notification
from tfo_mcp.infrastructure.linux.syscalls import numbers
from tfo_mcp.infrastructure.sandbox.metadata import Metadata
from tfo_mcp.infrastructure.sandbox.processes import count_below, descends_from, every_process
from tfo_mcp.infrastructure.sandbox.seccomp_rules import NAMES_PROCESS, NEW_SESSION


class Requests:
    """The calls of one program and all that it starts.

    Args:
        listener: where they arrive.
        metadata: makes changes of files.
        most_processes: how many threads there may be at once.
    """

    def __init__(self, listener: int, metadata: Metadata, most_processes: int) -> None:
        self._listener = listener
        self._metadata = metadata
        self._most_processes = most_processes
        self._sessions_until_count = most_processes
        self._process_arguments = {numbers()[name]: position for name, position in NAMES_PROCESS.items()}

    def answer(self) -> bool:
        """Answer one call; False when nobody is left who could make one."""
        try:
            notification = seccomp.receive(self._listener)
        except OSError:
            return False
        if notification is not None:
            seccomp.answer(self._listener, notification, self._decision(notification))
        return True

    def _decision(self, notification: Notification) -> int | None:
        """Decide; what a program passes must not end its supervisor, whatever it is."""
        try:
            return self._decide(notification)
        except Exception:
            return errno.EIO

    def _decide(self, notification: Notification) -> int | None:
        """Return the number of the error that the call gets, 0 when it has been done, None to let the kernel do it."""
        number = notification.number
        if number in self._process_arguments:
            return _own_process(notification.arguments[self._process_arguments[number]])
        if number == numbers()[NEW_SESSION]:
            return self._admit_session()
        if self._metadata.answers(number):
            return self._metadata.change(notification, lambda: seccomp.still_waits(self._listener, notification))
        return errno.ENOSYS

    def _admit_session(self) -> int | None:
        """Let a new session begin unless there are too many processes; to count them takes long, so that is rare."""
        if self._sessions_until_count == 0:
            self._sessions_until_count = max(0, self._most_processes - count_below(os.getpid()))
            if self._sessions_until_count == 0:
                return errno.EPERM
        self._sessions_until_count -= 1
        return None


def _own_process(argument: int) -> int | None:
    """Let the kernel go on if an argument, as kill takes it, means the program's own processes only."""
    pid = argument & 0xFFFFFFFF
    pid -= 1 << 32 if pid >> 31 else 0
    supervisor = os.getpid()
    if pid > 0:
        return None if descends_from(supervisor, pid) else errno.EPERM
    if pid == -1:
        return errno.EPERM
    members = [found.pid for found in every_process() if found.group == -pid]
    return None if all(descends_from(supervisor, member) for member in members) else errno.EPERM
