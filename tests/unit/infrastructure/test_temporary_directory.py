"""Temporary directories of commands: servers that start remove abandoned ones while others make theirs."""

import subprocess
import sys
from pathlib import Path

from tests.support.deadlines import PATIENCE

_MAKE = """
from tfo_mcp.infrastructure.sandbox.temporary import TemporaryDirectory

for _ in range(3000):
    TemporaryDirectory.make().remove()
"""
_REMOVE = """
from tfo_mcp.infrastructure.sandbox.temporary import remove_abandoned

print("started", flush=True)
while True:
    remove_abandoned()
"""


def test_a_directory_is_made_although_other_servers_remove_abandoned_ones(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    removers = [
        subprocess.Popen([sys.executable, "-c", _REMOVE], env=environment, stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        for remover in removers:
            assert remover.stdout is not None
            assert remover.stdout.readline() == b"started\n"
        made = subprocess.run(
            [sys.executable, "-c", _MAKE],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=6 * PATIENCE,
        )
        assert (made.returncode, made.stderr) == (0, "")
        assert list(tmp_path.iterdir()) == []
    finally:
        for remover in removers:
            remover.kill()
            remover.communicate()
