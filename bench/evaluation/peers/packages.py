"""The packages of the other servers, beneath `.peers`: created once, and again for other versions.

Owns their versions and command lines. They are no dependencies of the project.
"""

import json
import shutil
import subprocess
import venv
from collections.abc import Sequence

from bench.contenders import PROJECT
from bench.errors import BenchError

PLACE = PROJECT / ".peers"
PYTHON_PACKAGES = ("mcp-clickhouse==0.7.0", "prometheus-mcp-server==1.6.2")
NODE_PACKAGE, NODE_VERSION = "autotel-mcp", "0.8.0"


def python_command(name: str) -> Sequence[str]:
    """Return the command line of a server from PyPI, which is installed at first."""
    place = PLACE / "python"
    mark = place / ".installed"
    wanted = "\n".join(PYTHON_PACKAGES)
    if not mark.exists() or mark.read_text() != wanted:
        print(f"Installing {', '.join(PYTHON_PACKAGES)} ...", flush=True)
        venv.create(place, with_pip=True, clear=True)
        _run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES])
        mark.write_text(wanted)
    return [str(place / "bin" / name)]


def node_command() -> Sequence[str]:
    """Return the command line of the server from npm, which is installed at first.

    Raises:
        BenchError: npm or node is missing.
    """
    place = PLACE / "node"
    wanted = json.dumps({"private": True, "dependencies": {NODE_PACKAGE: NODE_VERSION}})
    node = _own_node() or shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise BenchError(f"npm and node are missing: {NODE_PACKAGE} cannot be installed")
    settings = place / "package.json"
    if not settings.exists() or settings.read_text() != wanted or not (place / "node_modules").exists():
        print(f"Installing {NODE_PACKAGE} {NODE_VERSION} ...", flush=True)
        place.mkdir(parents=True, exist_ok=True)
        settings.write_text(wanted)
        line = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        _run([*line, "--prefix", str(place)])
    return [node, str(place / "node_modules" / NODE_PACKAGE / "bin" / NODE_PACKAGE)]


def _own_node() -> str | None:
    """Return the Node.js that `make test-deps` installs, if it is there."""
    found = PROJECT / "node_modules" / ".bin" / "node"
    return str(found) if found.exists() else None


def _run(line: Sequence[str]) -> None:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{line[0]} failed: {done.stderr[-500:]}")
