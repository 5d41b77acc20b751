"""Confines a process before it becomes the program: it drops every right that the policy does not grant.

Runs in the supervisor's child. The order matters: steps that need rights precede those that drop them.
"""

import os
import resource
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress

from tfo_mcp.infrastructure.linux import capabilities, landlock, seccomp
from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX, prctl
from tfo_mcp.infrastructure.sandbox.policy import Policy, VisiblePath
from tfo_mcp.infrastructure.sandbox.processes import count_of_user
from tfo_mcp.infrastructure.sandbox.seccomp_rules import rules

_PR_SET_PDEATHSIG = 1
_NICER = 10
_OUT_OF_MEMORY_FIRST = "900"
_KEPT_CAPABILITIES = (
    capabilities.CHOWN,
    capabilities.DAC_OVERRIDE,
    capabilities.FOWNER,
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def become(policy: Policy, channel: socket.socket, *, has_own_users: bool) -> None:
    """Turn this process into the policy's program; returns only by raising.

    The listener of the filter is sent to the supervisor through `channel`, which the program does not inherit.
    `has_own_users` is whether the supervisor is in its own user namespace, where the kernel counts only the processes
    of that namespace.

    Raises:
        OSError: a step failed; `filename` is the file that it failed at, if any.
    """
    os.setsid()
    if IS_LINUX:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write(_OUT_OF_MEMORY_FIRST)
    with suppress(OSError):
        os.nice(_NICER)
    _limit(policy, 1 if has_own_users else count_of_user(os.getuid()))
    _enter(policy.directory)
    if policy.filtered or policy.covers:
        capabilities.keep_only(_KEPT_CAPABILITIES)
    if policy.landlock_abi:
        _restrict(policy)
    if policy.filtered:
        listener = seccomp.install(seccomp.program(rules(network=policy.network)))
        socket.send_fds(channel, [b"listener"], [listener])
        os.close(listener)
    _start(policy, channel)


def _limit(policy: Policy, others: int) -> None:
    """Set the resource limits; RLIMIT_NPROC also counts the user's `others`, so they are added to the limit."""
    limits = policy.limits
    for kind, most in (
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, others + limits.processes),
    ):
        _, hard = resource.getrlimit(kind)
        own = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (own, own))


def _enter(place: VisiblePath) -> None:
    if place.descriptor is not None:
        os.fchdir(place.descriptor)
    else:
        os.chdir(place.path)


def _restrict(policy: Policy) -> None:
    ruleset = landlock.Ruleset(policy.landlock_abi, network=policy.network)
    _allow(ruleset, policy.readable, landlock.READING)
    _allow(ruleset, policy.writable, landlock.WRITING)
    _allow(ruleset, map(VisiblePath, _DEVICES), landlock.READ_FILE | landlock.WRITE_FILE)
    ruleset.enforce()
    ruleset.close()


def _allow(ruleset: landlock.Ruleset, places: Iterable[VisiblePath], rights: int) -> None:
    for place in places:
        if place.descriptor is not None:
            ruleset.allow(place.descriptor, rights)
            continue
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # not on this machine
            descriptor = os.open(place.path, os.O_PATH | os.O_CLOEXEC)
            ruleset.allow(descriptor, rights)
            os.close(descriptor)


def _start(policy: Policy, channel: socket.socket) -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    own = channel.fileno()
    os.closerange(3, own)
    os.closerange(own + 1, os.sysconf("SC_OPEN_MAX"))
    os.execvpe(policy.argv[0], policy.argv, policy.environment)  # noqa: S606 - the module's purpose
