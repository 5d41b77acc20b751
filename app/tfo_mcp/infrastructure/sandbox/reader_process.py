"""Starts a program that may only read one directory; used for searches.

Runs in worker threads of the server. The program inherits the Landlock rules of the thread that starts it, so that it
needs no supervisor process. Without Landlock it runs in bubblewrap.
"""

import os
import resource
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

from tfo_mcp.domain.errors import OperationFailed
from tfo_mcp.infrastructure.linux import landlock
from tfo_mcp.infrastructure.linux.syscalls import IS_LINUX
from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.policy import VisiblePath
from tfo_mcp.infrastructure.sandbox.tiers import Find, Wanted
from tfo_mcp.infrastructure.sandbox.visible_paths import bubblewrap_line, bubblewrap_program, system_set

_NICER = 5  # a higher value would let it starve while the server's threads compute digests
_OUT_OF_MEMORY_FIRST = "900"


def start_reader(
    wanted: Wanted,
    find: Find,
    line: Sequence[str],
    directory: int,
    readable: int,
    descriptors: Sequence[int],
    memory_bytes: int,
) -> "subprocess.Popen[bytes]":
    """Start a program that can read one directory and the system paths, and nothing else.

    Its output is read from the process's pipes; it runs with low priority. In the tier `none` it is not confined.

    Args:
        wanted: the configured tier.
        find: detects the tiers that the machine offers.
        line: the command line.
        directory: descriptor of its working directory, which lies in `readable`.
        readable: descriptor of the directory that it can read.
        descriptors: further descriptors that it inherits.
        memory_bytes: maximum bytes of its data memory.

    Raises:
        OperationFailed: the configured sandbox is not available, or the program cannot be started.
    """
    tier = tiers.require_for_reading(wanted, find)
    try:
        if tier == "none":
            process = _start(line, directory, descriptors)
        elif tier == "landlock":
            process = _in_own_thread(line, directory, readable, descriptors)
        else:
            places = (
                VisiblePath(os.readlink(f"/proc/self/fd/{readable}"), readable),
                VisiblePath(os.path.realpath(line[0])),
            )
            bubblewrap = bubblewrap_line(bubblewrap_program(), (), places, network=False)
            process = _start([*bubblewrap, *line], directory, (readable, *descriptors))
    except OSError as problem:
        raise OperationFailed(f"The search program cannot be started: {problem.strerror}") from None
    _limit(process.pid, memory_bytes)
    return process


def _limit(pid: int, memory_bytes: int) -> None:
    """Limit a process that was just started, and its future children; best-effort."""
    with suppress(OSError, AttributeError):  # it has already exited, or this is not Linux
        for kind, most in ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_CORE, 0)):
            resource.prlimit(pid, kind, (most, most))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICER)
    with suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as score:
        score.write(_OUT_OF_MEMORY_FIRST)


def _in_own_thread(
    line: Sequence[str], directory: int, readable: int, descriptors: Sequence[int]
) -> "subprocess.Popen[bytes]":
    """Start the program from a new thread, since Landlock rules confine a thread permanently."""
    started: list[subprocess.Popen[bytes]] = []
    problems: list[BaseException] = []

    def start() -> None:
        try:
            _allow_reading(readable, line[0])
            started.append(_start(line, directory, descriptors))
        except BaseException as problem:
            problems.append(problem)

    thread = Thread(target=start, name="tfo-mcp reader")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return started[0]


def _start(line: Sequence[str], directory: int, descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory_name(directory),
        env={"RUST_BACKTRACE": "0"},
        pass_fds=[directory, *descriptors],
        start_new_session=True,
    )


def _allow_reading(directory: int, program: str) -> None:
    """Confine this thread to reading a directory and the paths that the program needs to run."""
    ruleset = landlock.Ruleset(landlock.abi(), network=False)
    ruleset.allow(directory, landlock.READING)
    for path in (*system_set(), os.path.realpath(program)):
        _allow_path(ruleset, path, landlock.READING)
    _allow_path(ruleset, os.devnull, landlock.READ_FILE | landlock.WRITE_FILE)
    ruleset.enforce()
    ruleset.close()


def _allow_path(ruleset: landlock.Ruleset, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        ruleset.allow(descriptor, rights)
    finally:
        os.close(descriptor)


def directory_name(descriptor: int) -> str:
    """Return a path to an open directory that stays valid if the directory is renamed."""
    return f"/proc/self/fd/{descriptor}" if IS_LINUX else f"/dev/fd/{descriptor}"
