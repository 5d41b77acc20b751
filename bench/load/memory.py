"""The memory of a server process as the kernel counts it: now, at its highest, and once it has come to rest.

Resident memory in bytes, which does not depend on what other processes share.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from bench.errors import BenchError

KIB = 1024
MIB = 1024 * KIB
LOOK_SECONDS = 0.5
REST_LOOKS = 4
REST_LIMIT_SECONDS = 20.0
FORGET_PEAK = "5"  # what clear_refs takes to begin the highest figure anew (man 5 proc)


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """The resident memory now."""
    return _kibibytes(process, "smaps_rollup", "Rss:") * KIB


def peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """The highest resident memory since `forget_peak`."""
    return _kibibytes(process, "status", "VmHWM:") * KIB


def forget_peak(process: subprocess.Popen[bytes]) -> None:
    """Begin the highest figure anew."""
    try:
        Path(f"/proc/{process.pid}/clear_refs").write_text(FORGET_PEAK)
    except OSError:
        raise BenchError("the server is gone") from None


def descriptors(process: subprocess.Popen[bytes]) -> int:
    """How many files and sockets the server has open."""
    try:
        return sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
    except OSError:
        raise BenchError("the server is gone") from None


async def memory_at_rest(process: subprocess.Popen[bytes]) -> int:
    """The resident memory once it has stayed the same for two seconds, or after REST_LIMIT_SECONDS."""
    deadline = time.monotonic() + REST_LIMIT_SECONDS
    seen = [resident_bytes(process)]
    while time.monotonic() < deadline and not _rests(seen):
        await asyncio.sleep(LOOK_SECONDS)
        seen.append(resident_bytes(process))
    return seen[-1]


def _rests(seen: list[int]) -> bool:
    latest = seen[-REST_LOOKS - 1 :]
    return len(latest) > REST_LOOKS and len(set(latest)) == 1


def _kibibytes(process: subprocess.Popen[bytes], file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/{file}").read_text().splitlines()
    except OSError:
        raise BenchError("the server is gone") from None
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
