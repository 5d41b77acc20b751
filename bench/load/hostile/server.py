"""The server under attack: default settings, its own root, and limits that protect this machine."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import BENCH, configured_command, new_key
from bench.cores import Cores
from bench.load.hostile.kinds import Settings
from bench.server_process import free_port, running, wait_until_it_listens

MOST_ADDRESS_SPACE = 3 * 1024**3
"""Limit in bytes; allocations beyond it fail, and the server may end, which is a missed target."""
FLOOD_PLUGIN = BENCH / "plugins" / "flood.py"
SMALL_FILE = "small.txt"


@dataclass(frozen=True, slots=True)
class HostileServed:
    """A running server, its root, its state directory, and API keys if callers need one."""

    process: subprocess.Popen[bytes]
    port: int
    root: Path
    state: Path
    keys: tuple[str, ...]
    """A key of another caller and one of the hostile client; empty when none is needed."""

    def audit_bytes(self) -> int:
        """Return the size of the audit log, rotated files included."""
        return sum(file.stat().st_size for file in self.state.rglob("audit*") if file.is_file())


@contextmanager
def serving_limited(
    cores: Cores, settings: Settings, prepare: Callable[[Path], None] | None = None, *, with_key: bool = False
) -> Iterator[HostileServed]:
    """Run a server with these settings and limited memory for the duration of the block.

    Raises:
        BenchError: an error of the block, with the end of the server's log added.
    """
    with tempfile.TemporaryDirectory(prefix="tfo-bench-") as directory:
        place = Path(directory)
        root, state, configuration = place / "root", place / "state", place / "configuration" / "tfo-mcp.yaml"
        for each in (root, state, configuration.parent):
            each.mkdir()
        (root / SMALL_FILE).write_text("small\n")
        if prepare is not None:
            prepare(root)
        configuration.write_text(json.dumps(_settings(settings, root, with_key=with_key)))
        shutil.copy(FLOOD_PLUGIN, configuration.parent)
        keys = tuple(new_key(configuration, state) for _ in range(2)) if with_key else ()
        port = free_port()
        with running(configured_command(port, configuration, state), cores) as process:
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MOST_ADDRESS_SPACE, MOST_ADDRESS_SPACE))
            wait_until_it_listens(process, port)
            yield HostileServed(process, port, root, state, keys)


def _settings(settings: Settings, root: Path, *, with_key: bool) -> dict[str, dict[str, object]]:
    whole: dict[str, dict[str, object]] = {"files": {"roots": [str(root)]}}
    if with_key:
        whole["security"] = {"require_key": True}
    for section, values in settings.items():
        whole[section] = {**whole.get(section, {}), **values}
    return whole
