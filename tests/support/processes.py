"""The built command as a child process: started with a configuration, and ended by its process id.

Owns the temporary directory, the free port and the captured stderr of each child. Knows the command line and
`GET /healthz`; `stdio_client` and `http_client` exchange the messages. Children are forked (`forked`).
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from tests.support.deadlines import PATIENCE, QUICK, wait_until
from tests.support.forked import ForkedProcess, fork_command

PROJECT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
ATTEMPTS = 3  # another process may take the free port before the child binds it
NO_TLS = False  # for plain HTTP: reading the certificates of authorities takes 40 ms a client
OWN_PREFIXES = ("TELEMETRYFLOW_MCP_", "ANTHROPIC_", "OTEL_")

NO_STORE = {"TELEMETRYFLOW_MCP_TELEMETRY_STORE": "off"}
"""Keeps children that are not about it from starting the telemetry store."""

Configuration = Path | Mapping[str, Any] | None


class StartError(Exception):
    """The child has ended or has not become ready in time; the message ends with its stderr."""


def command() -> list[str]:
    """Return the `tfo-mcp` script in this interpreter's directory, or `python -m tfo_mcp` if it is missing."""
    script = Path(sys.executable).with_name("tfo-mcp")
    return [str(script)] if script.exists() else [sys.executable, "-m", "tfo_mcp"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: this process's without the product's own variables, and `extra`.

    Children write compiled modules to disk, so that the next ones start faster.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIXES)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    if command()[0] == sys.executable:
        sources = [str(PROJECT / folder) for folder in ("app", "transports")]
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (*sources, os.environ.get("PYTHONPATH"))))
    return {**kept, **NO_STORE, **(extra or {})}


def free_port() -> int:
    """Return a port of the loopback interface that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Child:
    """One process of the command; its stderr goes to a file, and its pipes, if any, belong to `process`."""

    def __init__(self, process: "subprocess.Popen[bytes] | ForkedProcess", errors: Path) -> None:
        self.process = process
        self._errors = errors

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def stderr(self) -> str:
        """Return the stderr of the process so far."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def log_size(self) -> int:
        """Return the bytes of stderr so far."""
        return self._errors.stat().st_size

    def log_lines(self, since: int = 0) -> list[str]:
        """Return the complete lines of stderr that begin after `since` bytes, at the beginning of a line."""
        with self._errors.open("rb") as errors:
            errors.seek(since)
            return errors.read().decode("utf-8", "replace").split("\n")[:-1]

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the process to end by itself and return its exit code.

        Raises:
            TimeoutError: it still runs after `seconds`.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"The process still runs after {seconds:g} s; stderr:\n{self.stderr()}") from None

    def terminate(self) -> None:
        """Ask the process to end."""
        self.process.terminate()

    def stop(self, seconds: float = QUICK) -> int:
        """End the process with SIGTERM, or with SIGKILL when it does not exit in time; return its exit code.

        Closes stdin; the reader of stdout closes that.
        """
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # unsent bytes for a process that has ended
                self.process.stdin.close()
        return self.process.wait(seconds)


@contextmanager
def child(
    arguments: Sequence[str],
    *,
    pipes: bool = False,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    become: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Iterator[Child]:
    """Run the command with these arguments until the end of the block.

    Args:
        arguments: the arguments after `tfo-mcp` on the command line.
        pipes: whether stdin and stdout are pipes; otherwise both are the null device.
        directory: the working directory; an empty temporary one by default.
        variables: additional environment variables.
        become: wraps the command line so that it runs as another user, in a new interpreter.
    """
    with tempfile.TemporaryDirectory() as temporary:
        errors = Path(temporary, "stderr")
        workplace = directory or Path(temporary, "work")
        workplace.mkdir(exist_ok=True)
        with errors.open("wb") as sink:
            process = _started(arguments, environment(variables), workplace, sink, become, pipes=pipes)
        running = Child(process, errors)
        try:
            yield running
        finally:
            running.stop()


def _started(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    directory: Path,
    stderr: IO[bytes],
    become: Callable[[Sequence[str]], Sequence[str]] | None,
    *,
    pipes: bool,
) -> "subprocess.Popen[bytes] | ForkedProcess":
    if become is None:
        return fork_command(arguments, environment=variables, directory=directory, pipes=pipes, stderr=stderr)
    ends = subprocess.PIPE if pipes else subprocess.DEVNULL
    line = become([*command(), *arguments])
    return subprocess.Popen(line, stdin=ends, stdout=ends, stderr=stderr, cwd=directory, env=variables)


def run_command(
    *arguments: str | Path,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    seconds: float = 2 * PATIENCE,
) -> "subprocess.CompletedProcess[str]":
    """Run the command with these arguments to its end, without input.

    Args:
        directory: the working directory; an empty temporary one by default.
        variables: additional environment variables.
        seconds: the maximum duration.

    Raises:
        subprocess.TimeoutExpired: the command still runs after that; it is killed.
    """
    line = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = fork_command(
            line,
            environment=environment(variables),
            directory=directory or Path(temporary),
            pipes=False,
            stdout=out,
            stderr=err,
        )
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(line, code, out.read().decode(), err.read().decode())


@contextmanager
def configuration_file(configuration: Configuration) -> Iterator[list[str]]:
    """Yield the `--config` arguments for a path or for settings, which are written to a file; none for None."""
    if configuration is None:
        yield []
    elif isinstance(configuration, Path):
        yield ["--config", str(configuration)]
    else:
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, "tfo-mcp.yaml")
            path.write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
            yield ["--config", str(path)]


@contextmanager
def stdio_child(
    configuration: Configuration = None,
    *,
    arguments: Sequence[str] = (),
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    become: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Iterator[Child]:
    """Run `tfo-mcp serve --transport stdio` with pipes until the end of the block; see `child`."""
    with configuration_file(configuration) as config:
        line = ["serve", "--transport", "stdio", *config, *arguments]
        with child(line, pipes=True, directory=directory, variables=variables, become=become) as running:
            yield running


@dataclass(frozen=True)
class HttpServer:
    """A server that answers `GET /healthz`."""

    child: Child
    port: int

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint of Streamable HTTP."""
        return f"{self.origin}/mcp"

    def sessions(self) -> int:
        """Return the number of open sessions, as reported by `GET /healthz`."""
        answer = httpx.get(f"{self.origin}/healthz", timeout=PATIENCE, trust_env=False, verify=NO_TLS)
        return int(answer.raise_for_status().json()["sessions"])

    @property
    def websocket_url(self) -> str:
        """The endpoint for WebSockets."""
        return f"ws://{LOOPBACK}:{self.port}/ws"


@contextmanager
def http_server(
    configuration: Configuration = None,
    *,
    arguments: Sequence[str] = (),
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    at: int | None = None,
    become: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> Iterator[HttpServer]:
    """Run `tfo-mcp serve --transport http` on the port `at`, or on a free one, until the end of the block; see `child`.

    State is in memory, unless the configuration or the variables name a database.

    Raises:
        StartError: the server does not become ready.
    """
    if isinstance(configuration, Mapping):
        configuration = {"storage": {"url": "memory:"}, **configuration}
    elif configuration is None or "storage" not in configuration.read_text():
        variables = {"TELEMETRYFLOW_MCP_STORAGE_URL": "memory:", **(variables or {})}
    with configuration_file(configuration) as config:
        for attempt in range(1, ATTEMPTS + 1):
            port = at or free_port()
            line = ["serve", "--transport", "http", "--host", LOOPBACK, "--port", str(port), *config, *arguments]
            with child(line, directory=directory, variables=variables, become=become) as running:
                try:
                    await_health(HttpServer(running, port))
                except StartError as problem:
                    if attempt == ATTEMPTS or "address already in use" not in str(problem).lower():
                        raise
                    continue
                yield HttpServer(running, port)
                return


@dataclass(frozen=True)
class UnixServer:
    """A server that answers on a Unix socket."""

    child: Child
    path: Path


@contextmanager
def unix_server(
    configuration: Configuration = None,
    *,
    path: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[UnixServer]:
    """Run `tfo-mcp serve --transport unix` until the end of the block, on a socket with a short path; see `child`.

    Raises:
        StartError: the server ends before it answers.
        TimeoutError: the server does not answer in time.
    """
    with configuration_file(configuration) as config, tempfile.TemporaryDirectory(prefix="tfo-") as temporary:
        chosen = path or Path(temporary, "s")
        with child(["serve", "--transport", "unix", "--path", str(chosen), *config], variables=variables) as running:
            await_socket(running, chosen)
            yield UnixServer(running, chosen)


def await_socket(running: Child, path: Path) -> None:
    """Wait until a child answers on a Unix socket.

    Raises:
        StartError: it ends before it answers.
        TimeoutError: it does not answer in time.
    """

    def answers() -> bool:
        if running.process.poll() is not None:
            raise StartError(f"The server ended at start; stderr:\n{running.stderr()}")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE)
            try:
                probe.connect(str(path))
                probe.sendall(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n')
                return bool(probe.recv(1024))
            except (FileNotFoundError, ConnectionError):
                return False

    wait_until(answers, "the socket answers", 2 * PATIENCE)


def await_health(server: HttpServer) -> None:
    with httpx.Client(base_url=server.origin, timeout=1.0, trust_env=False, verify=NO_TLS) as client:

        def healthy() -> bool:
            if server.child.process.poll() is not None:
                raise StartError(f"The server ended at start; stderr:\n{server.child.stderr()}")
            try:
                return client.get("/healthz").status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        try:
            wait_until(healthy, "GET /healthz answers 200", 2 * PATIENCE)
        except TimeoutError as problem:
            raise StartError(f"{problem}; stderr:\n{server.child.stderr()}") from None
