"""Starts a supervisor process for a program.

Runs in worker threads of the server. The supervisor gets its own session, a socket to the server, and the pipes of the
program's output.
"""

import os
import socket
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import replace

from tfo_mcp.infrastructure.sandbox.policy import Policy, VisiblePath
from tfo_mcp.infrastructure.sandbox.sealed_code import boot_line, supervisor_code
from tfo_mcp.infrastructure.sandbox.tiers import Tier
from tfo_mcp.infrastructure.sandbox.visible_paths import bubblewrap_line, bubblewrap_program
from tfo_mcp.value_objects import value_object

_PASSED_ON = ("LD_LIBRARY_PATH",)  # what an interpreter may need to start


@value_object
class Launched:
    """A supervisor that has received its policy: its process, with the output pipes, and its control socket."""

    process: "subprocess.Popen[bytes]"
    control: socket.socket


def launch(policy: Policy, tier: Tier) -> Launched:
    """Start a supervisor and send it the policy; the program's output is read from the process's pipes.

    Raises:
        OSError: the supervisor cannot be started.
    """
    ours, theirs = socket.socketpair()
    with ExitStack() as on_failure, theirs:
        on_failure.callback(ours.close)
        boot = boot_line(supervisor_code(), theirs.fileno())
        inherited = [place.descriptor for place in (policy.directory, *policy.writable, *policy.readable)]
        descriptors = [
            theirs.fileno(),
            supervisor_code(),
            policy.lock,
            *(number for number in inherited if number is not None),
        ]
        if tier == "bwrap":
            boot = [
                *bubblewrap_line(bubblewrap_program(), policy.writable, policy.readable, network=policy.network),
                *boot,
            ]
            policy = _by_path(policy)
        process = subprocess.Popen(
            boot,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            cwd="/",
            pass_fds=descriptors,
            start_new_session=True,
        )
        on_failure.pop_all()
    with suppress(OSError):  # it has already exited; reading from the socket reports that
        ours.sendall(policy.encode())
    return Launched(process, ours)


def _by_path(policy: Policy) -> Policy:
    """Return the policy with paths only, for a supervisor in whose namespace all places are mounted."""
    return replace(
        policy,
        directory=VisiblePath(policy.directory.path),
        writable=tuple(VisiblePath(place.path) for place in policy.writable),
        readable=tuple(VisiblePath(place.path) for place in policy.readable),
    )
