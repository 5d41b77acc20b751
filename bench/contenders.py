"""The servers that are measured: the product and its peers, each as the command line that starts it.

Nothing else knows how a server is started. The product is driven as a user drives it, by `tfo-mcp serve`.
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
    """Who is measured.

    `BASELINE` is the product again, in the setting that a row compares it with; `BEFORE` the product of another
    checkout, in the same setting.
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
        """Whether it is the product in the setting of the row, of this checkout or of another."""
        return self in (Contender.PRODUCT, Contender.BEFORE)

    @property
    def checkout(self) -> Path:
        """The directory of the product's code.

        Raises:
            BenchError: it is that of another checkout, and none was named.
        """
        if self is not Contender.BEFORE:
            return PROJECT
        if BEFORE_VARIABLE not in os.environ:
            raise BenchError(f"{self} needs --before CHECKOUT")
        return Path(os.environ[BEFORE_VARIABLE]).resolve()

    @property
    def warm_up_factor(self) -> int:
        """How much longer than others it is warmed up: Node compiles while it serves, and takes seconds to get fast."""
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

    def configuration(self, checkout: Path) -> Path:
        """The file in a checkout."""
        return checkout / "bench" / "plugins" / self.value


class Wire(StrEnum):
    """What a server speaks, by the word that starts a peer so.

    The product speaks all of them at once from one port, but for the Unix socket, which the peers do not have.
    """

    HTTP = "http"
    WEBSOCKET = "websocket"
    SSE = "sse"
    UNIX = "unix"


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a server: the command line, its transport, and what its environment has beside ours."""

    arguments: tuple[str, ...]
    stdio: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def command(
    contender: Contender,
    port: int | None,
    *,
    wire: Wire = Wire.HTTP,
    tools: int = 0,
    plugins: Plugins = Plugins.NONE,
) -> Command:
    """The command for a server: on `port` over `wire`, over stdio when there is none; with `tools` tools more."""
    if contender.is_product or contender is Contender.BASELINE:
        ours = ("stdio",) if port is None else ("http", "--host", "127.0.0.1", "--port", str(port))
        return _product(contender.checkout, ours, tools, plugins)
    transport = ("stdio",) if port is None else (wire.value, "--port", str(port))
    options = (*transport, "--tools", str(tools)) if tools else transport
    if contender is Contender.TYPESCRIPT_SDK:
        return Command((str(NODE), str(TYPESCRIPT / "server.mjs"), *options), port is None)
    module = "bare.py" if contender is Contender.BARE else "python_sdk.py"
    return Command((sys.executable, str(BENCH / "peers" / module), *options), port is None)


def files_command(contender: Contender, root: Path) -> Command:
    """The command for a server over stdio that serves the files of a directory."""
    if contender is Contender.FILESYSTEM:
        return Command((str(NODE), str(FILESYSTEM_SERVER), str(root)), stdio=True)
    started = _product(contender.checkout, ("stdio",), 0, Plugins.FILES)
    return replace(started, environment={**started.environment, "TELEMETRYFLOW_MCP_FILES_ROOTS": str(root)})


def guarded_command(checkout: Path, port: int, state: Path) -> tuple[Command, str]:
    """The command for the product with keys, limits and audit, whose files are in `state`; and a key for it.

    Raises:
        BenchError: no key can be made.
    """
    started = _product(checkout, ("http", "--host", "127.0.0.1", "--port", str(port)), 0, Plugins.GUARDED)
    environment = {**started.environment, "XDG_STATE_HOME": str(state)}
    return replace(started, environment=environment), new_key(Plugins.GUARDED.configuration(checkout), state)


def configured_command(port: int, configuration: Path, state: Path) -> Command:
    """The command for the product over HTTP with a configuration file; what it keeps is in `state`."""
    arguments = ("serve", "--transport", "http", "--host", "127.0.0.1", "--port", str(port))
    line = (*_script(PROJECT), *arguments, "--config", str(configuration))
    return Command(line, False, {"XDG_STATE_HOME": str(state)})


def new_key(configuration: Path, state: Path, *scopes: str) -> str:
    """Make a key for the product that is started with this configuration and `state`.

    Raises:
        BenchError: no key can be made.
    """
    wanted = [part for scope in scopes for part in ("--scope", scope)]
    line = [*_script(PROJECT), "keys", "create", "--name", "bench", "--config", str(configuration), *wanted]
    variables = {**os.environ, "XDG_STATE_HOME": str(state)}
    made = subprocess.run(line, env=variables, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise BenchError(f"no key could be made: {made.stderr[-500:]}")
    return made.stdout.splitlines()[-1]


def observed_command(checkout: Path, port: int, endpoint: str, sample_ratio: float) -> Command:
    """The command for the product with traces, of which so many are sampled, and metrics, both sent to an endpoint."""
    started = _product(checkout, ("http", "--host", "127.0.0.1", "--port", str(port)), 0, Plugins.NONE)
    variables = {
        "TELEMETRYFLOW_MCP_TELEMETRY_ENDPOINT": endpoint,
        "TELEMETRYFLOW_MCP_TELEMETRY_SAMPLE_RATIO": str(sample_ratio),
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",  # so that some fall into each sample
    }
    return replace(started, environment={**started.environment, **variables})


def ripgrep() -> str:
    """Where ripgrep is that came with the product."""
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
    """Install the TypeScript peer and its Node into its own directory, unless they are there as the lock file says.

    Raises:
        BenchError: npm is missing or failed.
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
