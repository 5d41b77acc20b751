"""The measured servers: the product and its peers, each with the command line that starts it.

Only this module knows how a server is started. The product is started like by a user, with `tfo-mcp serve`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from bench.errors import BenchError

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parent
TYPESCRIPT = BENCH / "peers" / "typescript_sdk"
BEFORE_VARIABLE = "BENCH_BEFORE"
NODE = TYPESCRIPT / "node_modules" / "node" / "bin" / "node"
FILESYSTEM_SERVER = TYPESCRIPT / "node_modules" / "@modelcontextprotocol" / "server-filesystem" / "dist" / "index.js"


class Contender(StrEnum):
    """A measured server.

    `BASELINE` is the product with the configuration that a row compares it with. `BEFORE` is the product of another
    checkout, with the configuration of the row.
    """

    PRODUCT = "tfo-mcp"
    BEFORE = "tfo-mcp-before"
    BASELINE = "tfo-mcp-baseline"
    BARE = "bare"
    PYTHON_SDK = "python-sdk"
    TYPESCRIPT_SDK = "typescript-sdk"
    FILESYSTEM = "filesystem-server"
    RIPGREP = "ripgrep"

    @property
    def label(self) -> str:
        """The heading of its column."""
        return LABELS[self]

    @property
    def is_product(self) -> bool:
        """Whether it is the product with the configuration of the row, of this checkout or of another."""
        return self in (Contender.PRODUCT, Contender.BEFORE)

    @property
    def checkout(self) -> Path:
        """The directory of the product's code.

        Raises:
            BenchError: the contender is another checkout, and none was named.
        """
        if self is not Contender.BEFORE:
            return PROJECT
        if BEFORE_VARIABLE not in os.environ:
            raise BenchError(f"{self} needs --before CHECKOUT")
        return Path(os.environ[BEFORE_VARIABLE]).resolve()

    @property
    def warm_up_factor(self) -> int:
        """The factor for the duration of the warm-up: Node compiles while it serves and takes seconds to get fast."""
        return 4 if self in ON_NODE else 1


ON_NODE = frozenset({Contender.TYPESCRIPT_SDK, Contender.FILESYSTEM})

LABELS = {
    Contender.PRODUCT: "tfo-mcp",
    Contender.BEFORE: "before",
    Contender.BASELINE: "its baseline",
    Contender.BARE: "(a) bare ASGI",
    Contender.PYTHON_SDK: "(b) Python SDK",
    Contender.TYPESCRIPT_SDK: "(c) TypeScript SDK",
    Contender.FILESYSTEM: "(d) filesystem server",
    Contender.RIPGREP: "(e) ripgrep",
}

PEERS = (
    Contender.BARE,
    Contender.PYTHON_SDK,
    Contender.TYPESCRIPT_SDK,
    Contender.FILESYSTEM,
    Contender.RIPGREP,
)


class Plugins(StrEnum):
    """The configuration that the product is started with, a file in bench/plugins."""

    NONE = "plain.yaml"
    STREAMING = "streaming.yaml"
    FLOOD = "flood.yaml"
    CHURN = "churn.yaml"
    IDLE_SOON = "idle_soon.yaml"
    MANY_TOOLS = "many_tools.yaml"
    FILES = "files.yaml"
    GUARDED = "guarded.yaml"
    SHOP = "shop.yaml"

    def configuration(self, checkout: Path) -> Path:
        """The file in a checkout."""
        return checkout / "bench" / "plugins" / self.value


class Transport(StrEnum):
    """The transport of a server; the value is the argument that selects it for a peer.

    The product serves all network transports on one port. Only the product has the Unix socket.
    """

    HTTP = "http"
    WEBSOCKET = "websocket"
    SSE = "sse"
    UNIX = "unix"


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a server: the command line, whether it uses stdio, and its additional environment variables."""

    arguments: tuple[str, ...]
    stdio: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def command(
    contender: Contender,
    port: int | None,
    *,
    transport: Transport = Transport.HTTP,
    tools: int = 0,
    plugins: Plugins = Plugins.NONE,
) -> Command:
    """The command for a server.

    Args:
        contender: the server.
        port: the port to listen on; None for stdio.
        transport: the network transport.
        tools: number of additional tools.
        plugins: the product's configuration.
    """
    if contender.is_product or contender is Contender.BASELINE:
        ours = ("stdio",) if port is None else ("http", "--host", "127.0.0.1", "--port", str(port))
        return _product(contender.checkout, ours, tools, plugins)
    listening = ("stdio",) if port is None else (transport.value, "--port", str(port))
    options = (*listening, "--tools", str(tools)) if tools else listening
    if contender is Contender.TYPESCRIPT_SDK:
        return Command((str(NODE), str(TYPESCRIPT / "server.mjs"), *options), port is None)
    module = "bare.py" if contender is Contender.BARE else "python_sdk.py"
    return Command((sys.executable, str(BENCH / "peers" / module), *options), port is None)


def files_command(contender: Contender, root: Path) -> Command:
    """The command for a stdio server that serves the files of a directory."""
    if contender is Contender.FILESYSTEM:
        return Command((str(NODE), str(FILESYSTEM_SERVER), str(root)), stdio=True)
    started = _product(contender.checkout, ("stdio",), 0, Plugins.FILES)
    return replace(started, environment={**started.environment, "TELEMETRYFLOW_MCP_FILES_ROOTS": str(root)})


def guarded_command(checkout: Path, port: int, state: Path, variables: Mapping[str, str] = {}) -> tuple[Command, str]:
    """The command for the product with keys, limits and audit, with its state in `state`; and a key for it.

    Args:
        checkout: the directory of the product's code.
        port: the port to listen on.
        state: the directory of its state.
        variables: further environment variables.

    Raises:
        BenchError: no key can be created.
    """
    started = _product(checkout, ("http", "--host", "127.0.0.1", "--port", str(port)), 0, Plugins.GUARDED)
    environment = {**started.environment, **variables, "XDG_STATE_HOME": str(state)}
    return replace(started, environment=environment), new_key(Plugins.GUARDED.configuration(checkout), state)


def shop_command(contender: Contender, port: int, services: Mapping[str, str]) -> Command:
    """The command for an HTTP server with the tools of the shop workload, whose services these variables name."""
    if contender.is_product:
        started = _product(contender.checkout, ("http", "--host", "127.0.0.1", "--port", str(port)), 0, Plugins.SHOP)
    else:
        started = command(contender, port)
        started = replace(started, arguments=(*started.arguments, "--shop"))
    return replace(started, environment={**started.environment, **services})


def configured_command(port: int, configuration: Path, state: Path) -> Command:
    """The command for the product over HTTP with a configuration file, with its state in `state`."""
    arguments = ("serve", "--transport", "http", "--host", "127.0.0.1", "--port", str(port))
    line = (*_script(PROJECT), *arguments, "--config", str(configuration))
    return Command(line, False, {"XDG_STATE_HOME": str(state)})


def new_key(configuration: Path, state: Path, *scopes: str) -> str:
    """Create a key for the product that is started with this configuration and `state`.

    Raises:
        BenchError: no key can be created.
    """
    wanted = [part for scope in scopes for part in ("--scope", scope)]
    line = [*_script(PROJECT), "keys", "create", "--name", "bench", "--config", str(configuration), *wanted]
    variables = {**os.environ, "XDG_STATE_HOME": str(state)}
    made = subprocess.run(line, env=variables, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise BenchError(f"no key could be made: {made.stderr[-500:]}")
    return made.stdout.splitlines()[-1]


def observed_command(checkout: Path, port: int, endpoint: str, sample_ratio: float) -> Command:
    """The command for the product with metrics and sampled traces (`sample_ratio`), exported to an endpoint."""
    started = _product(checkout, ("http", "--host", "127.0.0.1", "--port", str(port)), 0, Plugins.NONE)
    return replace(started, environment={**started.environment, **observed_variables(endpoint, sample_ratio)})


def observed_variables(endpoint: str, sample_ratio: float) -> Mapping[str, str]:
    """The environment variables with which the product exports metrics and sampled traces to an endpoint."""
    return {
        "TELEMETRYFLOW_MCP_TELEMETRY_ENDPOINT": endpoint,
        "TELEMETRYFLOW_MCP_TELEMETRY_SAMPLE_RATIO": str(sample_ratio),
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",  # so that exports happen during each sample
    }


def ripgrep() -> str:
    """The path of the ripgrep that is installed with the product."""
    return str(Path(sys.executable).with_name("rg"))


def unix_command(path: Path, plugins: Plugins) -> Command:
    """The command for the product on a Unix socket."""
    return _product(PROJECT, ("unix", "--path", str(path)), 0, plugins)


def _product(checkout: Path, transport: Sequence[str], tools: int, plugins: Plugins) -> Command:
    configuration = plugins.configuration(checkout)
    arguments = (*_script(checkout), "serve", "--transport", *transport, "--config", str(configuration))
    return Command(arguments, transport[0] == "stdio", {"BENCH_TOOLS": str(tools)})


def _script(checkout: Path) -> tuple[str, ...]:
    if checkout != PROJECT:
        return (str(checkout / ".venv" / "bin" / "tfo-mcp"),)
    script = Path(sys.executable).with_name("tfo-mcp")
    return (str(script),) if script.exists() else (sys.executable, "-m", "tfo_mcp")


def install_typescript_peer() -> None:
    """Install the TypeScript peer and its Node into the peer's directory, unless they match the lock file already.

    Raises:
        BenchError: npm is missing or fails.
    """
    installed = TYPESCRIPT / "node_modules" / ".package-lock.json"
    lock = TYPESCRIPT / "package-lock.json"
    if NODE.exists() and installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError("npm is missing: the TypeScript peer cannot be installed")
    done = subprocess.run([npm, "ci"], cwd=TYPESCRIPT, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0 or not NODE.exists():
        raise BenchError(f"npm ci failed for the TypeScript peer: {done.stderr[-500:]}")
