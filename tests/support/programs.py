"""System programs that tests run besides the product: found, started in the foreground, ended by their process id.

Owns the output file of a program. Knows no particular program; `prometheus` and `nginx` do.
"""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import LOOPBACK, NO_TLS, Child, StartError

_SBIN = "/usr/sbin:/usr/local/sbin"  # Debian installs servers there, and a user's PATH may lack it


def path_of(name: str) -> str:
    """Return the path of an installed program.

    Raises:
        StartError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path=_SBIN)
    if found is None:
        raise StartError(f"There is no {name}: run 'make test-deps' (tests/e2e/install-packages.sh installs it)")
    return found


@contextmanager
def program(line: Sequence[str], directory: Path, start: Path | None = None) -> Iterator[Child]:
    """Run a program until the end of the block.

    Args:
        line: the program's path and its arguments.
        directory: of its own; stdout and stderr go to the file `said` in it.
        start: the working directory; by default its own one.
    """
    said = directory / "said"
    with said.open("wb") as sink:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=start or directory
        )
    running = Child(process, said)
    try:
        yield running
    finally:
        running.stop()


def await_answer(running: Child, url: str, seconds: float = 2 * PATIENCE) -> None:
    """Wait until a program answers GET of a URL with 200.

    Raises:
        StartError: it has ended, or did not answer 200 in time.
    """
    with httpx.Client(timeout=1.0, trust_env=False, verify=NO_TLS) as client:

        def answers() -> bool:
            if running.process.poll() is not None:
                raise StartError(f"The program ended at start; it said:\n{running.stderr()}")
            try:
                return client.get(url).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        _await(running, answers, f"GET {url} answers 200", seconds)


def await_connection(running: Child, port: int, seconds: float = 2 * PATIENCE) -> None:
    """Wait until a program accepts connections on a port of this machine.

    Raises:
        StartError: it has ended, or did not accept a connection in time.
    """

    def accepts() -> bool:
        if running.process.poll() is not None:
            raise StartError(f"The program ended at start; it said:\n{running.stderr()}")
        try:
            socket.create_connection((LOOPBACK, port), 1.0).close()
        except ConnectionRefusedError:
            return False
        return True

    _await(running, accepts, f"port {port} accepts connections", seconds)


def _await(running: Child, answers: Callable[[], bool], what: str, seconds: float) -> None:
    try:
        wait_until(answers, what, seconds)
    except TimeoutError as problem:
        raise StartError(f"{problem}; it said:\n{running.stderr()}") from None
