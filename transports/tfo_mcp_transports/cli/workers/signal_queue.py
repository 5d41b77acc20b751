"""SignalQueue: signals of a process without an event loop, which waits for them and for pipes together."""

import os
import signal
from contextlib import suppress
from types import FrameType

from tfo_mcp_transports.cli.signals import end_at_once

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class SignalQueue:
    """Collects SIGTERM, SIGINT, SIGHUP and SIGCHLD inside its context; `descriptor` is readable once one arrives."""

    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._writer, False)

    def __enter__(self) -> "SignalQueue":
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _NUMBERS:
            signal.signal(number, _queued)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self.descriptor)
        os.close(self._writer)

    def take(self) -> list[int]:
        """Return the numbers of the signals that have arrived since the last call."""
        with suppress(BlockingIOError):
            return list(os.read(self.descriptor, 4096))
        return []

    @staticmethod
    def hold_back() -> None:
        """Let signals wait: those that reach a forked process before `leave_to_child` must not be queued here."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)

    @staticmethod
    def release() -> None:
        """End `hold_back`."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)

    def leave_to_child(self) -> None:
        """End `hold_back` in the forked process: SIGTERM ends it, the parent handles SIGINT and SIGHUP."""
        self.__exit__()
        end_at_once()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.release()


def _queued(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the number is in the pipe."""
