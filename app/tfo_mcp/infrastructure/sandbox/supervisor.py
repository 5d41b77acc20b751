"""The supervisor: a separate process between the server and one confined program.

It starts the program, answers the system calls that the filter forwards, and kills all processes of the program when
the program exits, when the server requests it, or when the server is gone. No process outlives it, since it is their
subreaper: orphans become its children.

It talks to the server in lines of JSON over one socket. It receives the policy, sends `started` or `failed`, and then
how the program ended. Any further input, or the end of the socket, stops the program: first SIGTERM, then SIGKILL. If
the server is gone, it removes the program's temporary directory. Uses only the standard library and the modules that
`sealed_code` lists.
"""

import errno
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from tfo_mcp.infrastructure.linux import landlock
from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX, prctl
from tfo_mcp.infrastructure.sandbox.confinement import become
from tfo_mcp.infrastructure.sandbox.covers import Covers, open_without_links
from tfo_mcp.infrastructure.sandbox.metadata import Metadata
from tfo_mcp.infrastructure.sandbox.policy import Policy, VisiblePath
from tfo_mcp.infrastructure.sandbox.processes import Census, children
from tfo_mcp.infrastructure.sandbox.remove_tree import remove_tree
from tfo_mcp.infrastructure.sandbox.syscall_broker import Requests

_PR_SET_CHILD_SUBREAPER = 36
_ASK_SECONDS = 0.3  # between SIGTERM and SIGKILL
_LOOK_SECONDS = 0.01
_COUNT_SECONDS = 0.02  # maximum seconds between two checks of the number of processes
_LONGEST_POLICY = 4 * 1024 * 1024
_LONGEST_PROBLEM = 4096


def main(control_descriptor: int) -> None:
    """Receive one policy, and supervise its program until all its processes are gone."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=control_descriptor) as control:
        policy = Policy.decode(_line(control))
        supervisor = _Supervisor(control, policy)
        supervisor.run()


class _Supervisor:
    """One program and its descendants."""

    def __init__(self, control: socket.socket, policy: Policy) -> None:
        self._control = control
        self._policy = policy
        self._covers = Covers(policy.covers)
        self._has_own_users = False
        self._requests: Requests | None = None
        self._leader = 0
        self._status: int | None = None
        self._is_ending = False
        self._selector = selectors.DefaultSelector()
        self._reaches_only_descendants = os.getpid() == 1  # in a PID namespace, which has no other processes

    def run(self) -> None:
        """Run the program, and return when none of its processes is left."""
        if IS_LINUX:
            prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if os.getuid() == 0:  # RLIMIT_NPROC does not apply to root, so real-time priority must ensure frequent checks
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        if self._policy.landlock_abi >= landlock.SCOPED_ABI and landlock.keep_signals_within():
            self._reaches_only_descendants = True
        wake_up, wakes = os.pipe()
        os.set_blocking(wake_up, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(wake_up, selectors.EVENT_READ, self._woken)
        try:
            end = self._cover() or self._run_program()
        finally:  # also if supervising itself fails
            self._end_all()
            self._covers.set_aside()
        if not self._tell(end):
            remove_tree(self._policy.temporary)

    def _cover(self) -> dict[str, object] | None:
        """Cover the protected files; return the message for the server if that fails."""
        if not self._policy.covers:
            return None
        try:
            self._has_own_users = self._covers.enter()
            self._policy = _seen_from_here(self._policy)
        except OSError as problem:
            return {"failed": os.strerror(problem.errno or errno.EIO), "uncovered": True}
        return None

    def _run_program(self) -> dict[str, object]:
        """Start and supervise the program; return how it ended, or why it did not start."""
        if (problem := self._start()) is not None:
            return {"failed": problem}
        self._tell({"started": True})
        too_many = self._watch()
        code = None if self._status is None or too_many else os.waitstatus_to_exitcode(self._status)
        return {"code": code, "too_many_processes": too_many}

    def _watch(self) -> bool:
        """Supervise the program until it exits or must stop; return whether it has too many processes."""
        self._selector.register(self._control, selectors.EVENT_READ, self._told_to_end)
        census = Census(os.getpid(), self._policy.limits.processes)
        too_many = False
        while self._status is None and not self._is_ending and not too_many:
            self._serve(_COUNT_SECONDS)
            self._covers.renew()
            self._reap()
            too_many = census.too_many()
        if self._is_ending and self._status is None:
            self._ask_to_end()
        return too_many

    def _start(self) -> str | None:
        """Start the program; return the problem if that fails, else None."""
        ours, theirs = socket.socketpair()
        self._leader = os.fork()
        if self._leader == 0:
            ours.close()
            _become_or_tell(self._policy, theirs, has_own_users=self._has_own_users)
        theirs.close()
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 1)  # the pipes must close when the program's last process exits
        os.dup2(silence, 2)
        with ours:
            message, descriptors, _, _ = socket.recv_fds(ours, _LONGEST_PROBLEM, 1)
            if descriptors:
                metadata = Metadata([_open(place) for place in self._policy.writable])
                self._requests = Requests(descriptors[0], metadata, self._policy.limits.processes)
                self._selector.register(descriptors[0], selectors.EVENT_READ, self._asked)
                message = self._words_of(ours)
        if not message:
            return None
        os.waitpid(self._leader, 0)
        return message.decode()

    def _words_of(self, channel: socket.socket) -> bytes:
        """Return why the program could not start, empty if it has started; answers its calls meanwhile."""
        arrived: list[bytes] = []

        def take(_: selectors.SelectorKey) -> None:
            arrived.append(channel.recv(_LONGEST_PROBLEM))

        self._selector.register(channel, selectors.EVENT_READ, take)
        while not arrived:
            self._serve(None)
        self._selector.unregister(channel)
        return arrived[0]

    def _serve(self, seconds: float | None) -> None:
        """Wait for events, at most `seconds`, and handle them."""
        for key, _ in self._selector.select(seconds):
            key.data(key)

    def _woken(self, key: selectors.SelectorKey) -> None:
        with suppress(BlockingIOError):
            os.read(key.fd, 4096)

    def _told_to_end(self, key: selectors.SelectorKey) -> None:
        self._is_ending = True
        self._selector.unregister(key.fileobj)

    def _asked(self, key: selectors.SelectorKey) -> None:
        assert self._requests is not None
        if not self._requests.answer():
            self._selector.unregister(key.fileobj)

    def _reap(self) -> bool:
        """Reap exited children; return False if none is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._leader:
                    self._status = status
        except ChildProcessError:
            return False

    def _ask_to_end(self) -> None:
        with suppress(OSError):
            os.killpg(self._leader, signal.SIGTERM)
        end = monotonic() + _ASK_SECONDS
        while self._reap() and self._status is None and monotonic() < end:
            self._serve(_LOOK_SECONDS)

    def _end_all(self) -> None:
        """Kill all descendants until none is left, however long that takes: without the supervisor they would run on.

        If the kernel restricts this process's signals to its descendants, all are killed at once, so that none can
        start others meanwhile. Otherwise they are killed generation by generation.
        """
        while self._reap():
            if self._reaches_only_descendants:
                with suppress(OSError):
                    os.kill(-1, signal.SIGKILL)
            else:
                with suppress(OSError):
                    os.killpg(self._leader, signal.SIGKILL)
                for pid in children(os.getpid()):
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            self._serve(_LOOK_SECONDS)

    def _tell(self, message: Mapping[str, object]) -> bool:
        """Send a message to the server; return False if the server is gone."""
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True


def _seen_from_here(policy: Policy) -> Policy:
    """Return the policy with descriptors reopened in this process's mount namespace, where the covers apply.

    Raises:
        OSError: a directory was moved meanwhile.
    """

    def opened_anew(place: VisiblePath) -> VisiblePath:
        if place.descriptor is None:
            return place
        own = open_without_links(os.readlink(f"/proc/self/fd/{place.descriptor}"))
        if not os.path.samestat(os.fstat(own), os.fstat(place.descriptor)):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return VisiblePath(place.path, own)

    return replace(
        policy,
        directory=opened_anew(policy.directory),
        writable=tuple(map(opened_anew, policy.writable)),
        readable=tuple(map(opened_anew, policy.readable)),
    )


def _become_or_tell(policy: Policy, channel: socket.socket, *, has_own_users: bool) -> None:
    """In the child process: become the program, or send the problem and exit."""
    try:
        become(policy, channel, has_own_users=has_own_users)
    except FileNotFoundError:
        problem = f"{policy.argv[0]}: no such program in the PATH of commands"
    except PermissionError as error:
        problem = f"{policy.argv[0]}: not allowed to run here ({os.strerror(error.errno or errno.EACCES)})"
    except OSError as error:
        problem = f"{policy.argv[0]}: cannot be run: {os.strerror(error.errno or errno.EIO)}"
    except BaseException as error:
        problem = f"the sandbox cannot be entered: {type(error).__name__}"
    with suppress(OSError):
        channel.sendall(problem.encode())
    os._exit(126)


def _open(place: VisiblePath) -> int:
    if place.descriptor is not None:
        return place.descriptor
    return os.open(place.path, os.O_PATH | os.O_CLOEXEC)


def _line(control: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        chunk = control.recv(65536)
        if not chunk or len(data) > _LONGEST_POLICY:
            sys.exit(2)
        data += chunk
    return data
