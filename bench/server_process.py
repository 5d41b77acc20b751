"""Starts and stops one server process, pinned to the server's core, and reads its memory.

The server logs to a temporary file, as in production; the end of the log is shown when the server fails. Only a stdio
server gets pipes.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contenders import PROJECT, Command
from bench.cores import Cores
from bench.errors import BenchError

START_SECONDS = 60.0
RETRY_SECONDS = 0.02
STOP_SECONDS = 10.0
ENDING_SECONDS = 0.5
_NO_STORE = {"TELEMETRYFLOW_MCP_TELEMETRY_STORE": "off"}  # the telemetry store has measurements of its own


def free_port() -> int:
    """A TCP port on the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Command, cores: Cores, *, all_cores: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the duration of the block, on the server's core or on all cores.

    Raises:
        BenchError: an error of the block, with the end of the server's log added.
    """
    with tempfile.TemporaryFile() as log:
        with cores.starting_server(all_cores=all_cores):
            process = subprocess.Popen(
                command.arguments,
                stdin=subprocess.PIPE if command.stdio else subprocess.DEVNULL,
                stdout=subprocess.PIPE if command.stdio else log,
                stderr=log,
                cwd=PROJECT,
                env=environment(command),
            )
        try:
            yield process
        except BenchError as error:
            log.seek(0)
            tail = log.read()[-600:].decode(errors="replace").strip()
            said = f"{error}{_ending(process)}"
            raise BenchError(f"{said}\n{tail}" if tail else said) from error
        finally:
            _stop(process)


def _ending(process: subprocess.Popen[bytes]) -> str:
    """A suffix for error messages if the server has ended; otherwise empty."""
    try:
        return f" (the server has ended with {process.wait(ENDING_SECONDS)})"
    except subprocess.TimeoutExpired:
        return ""


def wait_until_it_listens(process: subprocess.Popen[bytes], where: int | Path) -> None:
    """Wait until a server accepts connections on a port, or on a Unix socket.

    Raises:
        BenchError: the process ended, or it took longer than START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _connect(where)
            return
        except OSError:
            if process.poll() is not None:
                raise BenchError("the server ended while it started") from None
            if time.monotonic() > deadline:
                raise BenchError(f"the server did not start within {START_SECONDS:.0f} s") from None
            time.sleep(RETRY_SECONDS)


def _connect(where: int | Path) -> None:
    with socket.socket(socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET) as probe:
        probe.settimeout(START_SECONDS)
        probe.connect(str(where) if isinstance(where, Path) else ("127.0.0.1", where))


def environment(command: Command) -> dict[str, str]:
    """This process's environment without variables that would distort the figures, plus those of the command.

    Settings of the product would change what is measured. Switches of the interpreter, such as the one that disables
    cached bytecode, would make the start-up slower than for users.
    """
    skewing = ("TELEMETRYFLOW_MCP_", "PYTHON")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(skewing)}
    return {**ours, **_NO_STORE, **command.environment}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def resident_mebibytes(process: subprocess.Popen[bytes]) -> float:
    """The resident memory of a server, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    if found is None:
        raise BenchError("the server is gone")
    return int(found[1]) / 1024
