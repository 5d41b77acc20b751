"""The resident memory of a server process as the kernel counts it: now, at its peak, and once it is stable.

In bytes; it does not depend on sharing with other processes.
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
FORGET_PEAK = "5"  # the value of clear_refs that resets the peak (man 5 proc)


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """The current resident memory."""
    return _kibibytes(process, "smaps_rollup", "Rss:") * KIB


def peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """The peak of resident memory since `forget_peak`."""
    return _kibibytes(process, "status", "VmHWM:") * KIB


def forget_peak(process: subprocess.Popen[bytes]) -> None:
    """Reset the peak to the current resident memory."""
    try:
        Path(f"/proc/{process.pid}/clear_refs").write_text(FORGET_PEAK)
    except OSError:
        raise BenchError("the server is gone") from None


def descriptors(process: subprocess.Popen[bytes]) -> int:
    """The number of open file descriptors of the server."""
    try:
        return sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
    except OSError:
        raise BenchError("the server is gone") from None


async def memory_at_rest(process: subprocess.Popen[bytes]) -> int:
    """The resident memory once it has been stable for two seconds, or after REST_LIMIT_SECONDS."""
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
