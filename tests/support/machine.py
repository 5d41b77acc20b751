"""Facts about the test machine: its sandbox tiers, its processes and their memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from tfo_mcp.infrastructure.sandbox import tiers
from tfo_mcp.infrastructure.sandbox.tiers import Wanted


def _tiers() -> list[Wanted]:
    found = tiers.find()
    there: list[Wanted] = ["none"]
    if found.landlock is None:
        there.append("landlock")
    if found.bubblewrap is None:
        there.append("bwrap")
    return there


TIERS = _tiers()
"""The sandbox tiers that this machine supports."""


@contextmanager
def growing_by_less_than(size: int, process: int | Literal["self"] = "self") -> Iterator[None]:
    """Assert that the peak of a process's resident memory grows by less than `size` bytes during the block."""
    entry = Path("/proc", str(process))
    (entry / "clear_refs").write_text("5")  # resets the peak to the current resident memory
    before = _peak(entry)
    yield
    assert _peak(entry) - before < size


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process, in bytes."""
    return _status(Path("/proc", str(process)), "VmRSS")


def _peak(entry: Path) -> int:
    return _status(entry, "VmHWM")


def _status(entry: Path, name: str) -> int:
    (line,) = [line for line in (entry / "status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def is_running(root: Path) -> bool:
    """Return whether a process has its working directory in `root` or names it in its arguments; zombies do not."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                works_there = Path(os.readlink(f"/proc/{name}/cwd")).is_relative_to(root)
                if works_there or os.fsencode(root) in Path(f"/proc/{name}/cmdline").read_bytes():
                    return True
    return False
